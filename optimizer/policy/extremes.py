"""What of a series can still be the largest or the smallest of its newest stretch, however long. It knows no time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Stamp = TypeVar("Stamp", int, float)
Value = TypeVar("Value", int, float)


def keep_highest(samples: Sequence[tuple[Stamp, Value]]) -> tuple[tuple[Stamp, Value], ...]:
    """Return the samples, oldest first, that are above every later one; never more than there are different values."""
    kept: list[tuple[Stamp, Value]] = []
    for sample in reversed(samples):
        if not kept or sample[1] > kept[-1][1]:
            kept.append(sample)
    return tuple(reversed(kept))


def keep_extremes(samples: Sequence[tuple[Stamp, Value]]) -> tuple[tuple[Stamp, Value], ...]:
    """Return the samples, oldest first, that are above, or below, every later one.

    The largest and the smallest of the newest samples, however many of them, are those of the newest kept.
    """
    kept: list[tuple[Stamp, Value]] = []
    highest = lowest = None
    for sample in reversed(samples):
        value = sample[1]
        if highest is None or lowest is None or value > highest or value < lowest:
            kept.append(sample)
            highest = value if highest is None else max(highest, value)
            lowest = value if lowest is None else min(lowest, value)
    return tuple(reversed(kept))
