"""A wish must last before the target follows: counted in seconds, the policy's own rule. It computes no wish.

    a tick adds its length to the count of its direction and takes it from the other, an equal tick takes it from both
    at the delay:  up takes the smallest wish counted,  down the largest

A count that is back at 0 forgets its wishes, so flapping around the target moves nothing, one odd tick costs its own
length and no more, and no single tick decides. At a target of 0 any wish is taken at once. A tick without data counts
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

_ROUNDING_S = 1e-6


@dataclass(frozen=True, slots=True)
class Patience:
    """What is in force and how long other wishes have lasted.

    Attributes
    ----------
    target_replicas
        The number in force.
    up_s, down_s
        For how long more, or less, was wished for [s].
    up_wish, down_wish
        The smallest, or largest, of these wishes; None while there is none.
    """

    target_replicas: int
    up_s: float = 0.0
    down_s: float = 0.0
    up_wish: int | None = None
    down_wish: int | None = None


def step_patience(
    patience: Patience, wish: int | None, tick_s: float, upscale_delay_s: float, downscale_delay_s: float
) -> Patience:
    """Return what is in force after a tick of `tick_s` [s] that wished for `wish` replicas, None for no data."""
    if wish is None:
        return patience
    target = patience.target_replicas
    if target == 0:
        return Patience(wish)
    if wish > target:
        lowest = wish if patience.up_wish is None else min(wish, patience.up_wish)
        patience = replace(_count_down(patience, tick_s), up_s=patience.up_s + tick_s, up_wish=lowest)
        return Patience(lowest) if patience.up_s >= upscale_delay_s - _ROUNDING_S else patience
    if wish < target:
        highest = wish if patience.down_wish is None else max(wish, patience.down_wish)
        patience = replace(_count_up(patience, tick_s), down_s=patience.down_s + tick_s, down_wish=highest)
        return Patience(highest) if patience.down_s >= downscale_delay_s - _ROUNDING_S else patience
    return _count_up(_count_down(patience, tick_s), tick_s)


def _count_up(patience: Patience, tick_s: float) -> Patience:
    """Take a tick from the wishes for more."""
    left_s = max(patience.up_s - tick_s, 0.0)
    return replace(patience, up_s=left_s, up_wish=patience.up_wish if left_s > 0.0 else None)


def _count_down(patience: Patience, tick_s: float) -> Patience:
    """Take a tick from the wishes for less."""
    left_s = max(patience.down_s - tick_s, 0.0)
    return replace(patience, down_s=left_s, down_wish=patience.down_wish if left_s > 0.0 else None)


def encode_patience(patience: Patience) -> dict[str, Any]:
    """Return `patience` as plain values."""
    return {
        "target_replicas": patience.target_replicas,
        "up_s": patience.up_s,
        "down_s": patience.down_s,
        "up_wish": patience.up_wish,
        "down_wish": patience.down_wish,
    }


def decode_patience(plain: Mapping[str, Any], target_replicas: int) -> Patience:
    """Return what `plain` tells; with nothing waited for, at `target_replicas`, when it makes no sense."""
    counts = [plain.get(name) for name in ("target_replicas", "up_wish", "down_wish")]
    times_s = [plain.get(name) for name in ("up_s", "down_s")]
    if not _is_count(counts[0]) or not all(value is None or _is_count(value) for value in counts[1:]):
        return Patience(target_replicas)
    if not all(isinstance(value, (int, float)) and isfinite(value) and value >= 0.0 for value in times_s):
        return Patience(target_replicas)
    return Patience(
        plain["target_replicas"], float(plain["up_s"]), float(plain["down_s"]), plain["up_wish"], plain["down_wish"]
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
