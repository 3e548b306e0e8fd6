"""Plain values of options as numbers, durations, mappings and lists. It names no option and remembers no problem."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h|d)")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a number, None for no bound."""

    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None

    def check(self, number: float) -> float:
        """Return `number`; ValueError unless it is within the bounds."""
        is_low = (self.above is not None and number <= self.above) or (
            self.at_least is not None and number < self.at_least
        )
        is_high = (self.below is not None and number >= self.below) or (
            self.at_most is not None and number > self.at_most
        )
        if is_low or is_high:
            raise ValueError
        return number

    def describe(self, what: str, unit: str) -> str:
        """Return `what` with its bounds and unit, for a message."""
        sides = (("> ", self.above), (">= ", self.at_least), ("< ", self.below), ("<= ", self.at_most))
        limits = " and ".join(f"{sign}{limit:.12g}" for sign, limit in sides if limit is not None)
        return what + (f" {limits}" if limits else "") + (f" [{unit}]" if unit else "")


def parse_number(value: object) -> float:
    """Return `value` as a number; ValueError unless it is one, finite, and no truth value."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError
    return float(value)


def parse_duration_s(value: object) -> float:
    """Return `value`, a number of seconds or text such as ``1m30s``, as a duration [s]; ValueError unless it is one."""
    if not isinstance(value, str):
        return parse_number(value)
    parts = _DURATION_PART.findall(value.strip())
    if not parts or "".join(number + unit for number, unit in parts) != value.strip():
        raise ValueError
    return math.fsum(float(number) * _SECONDS[unit] for number, unit in parts)


def parse_mapping(value: object) -> Mapping[str, object]:
    """Return `value`; ValueError unless it is a mapping by texts."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ValueError
    return value


def parse_list(value: object) -> Sequence[object]:
    """Return `value`; ValueError unless it is a list."""
    if not isinstance(value, (list, tuple)):
        raise ValueError
    return value
