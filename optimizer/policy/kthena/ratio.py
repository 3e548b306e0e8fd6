"""Two roles are brought into proportion: prefill to decode, say. It knows neither metrics nor rates of change.

    both 0                 nothing to do
    one is 0               it is given 1
    num / den < least      num = ceil(least den); at its maximum, den = floor(num / least)
    num / den > most       den = ceil(num / most); at its maximum, num = floor(most den)

Source
------
Kthena's disaggregated target at 3cc057284c34 (2026-08-21), which repairs the ratio **after** its rate limits, so a
repair may break them. Bounds win over the ratio in the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor


@dataclass(frozen=True, slots=True)
class RatioRule:
    """Replicas of one role over those of another [replicas per replica]; both bounds are kept exactly as written."""

    min_ratio: float
    max_ratio: float


Bounds = tuple[int, int]
"""Least and most replicas of a role."""


def repair_ratio(
    numerator: int, denominator: int, numerator_bounds: Bounds, denominator_bounds: Bounds, rule: RatioRule | None
) -> tuple[int, int, bool]:
    """Return both counts in proportion as far as their bounds allow, and whether the rule changed anything.

    Without a rule they are only brought within their bounds.
    """
    numerator, denominator = _clamp(numerator, numerator_bounds), _clamp(denominator, denominator_bounds)
    if rule is None or (numerator == 0 and denominator == 0):
        return numerator, denominator, False
    given = (numerator, denominator)
    numerator = numerator or _clamp(1, numerator_bounds)
    denominator = denominator or _clamp(1, denominator_bounds)
    least, most = to_fraction(rule.min_ratio), to_fraction(rule.max_ratio)
    if numerator < least * denominator:
        numerator = min(ceil(least * denominator), numerator_bounds[1])
        denominator = min(denominator, floor(numerator / least))
    elif numerator > most * denominator:
        denominator = min(ceil(numerator / most), denominator_bounds[1])
        numerator = min(numerator, floor(most * denominator))
    repaired = (_clamp(numerator, numerator_bounds), _clamp(denominator, denominator_bounds))
    return *repaired, (numerator, denominator) != given


def keeps_ratio(numerator: int, denominator: int, rule: RatioRule) -> bool:
    """Return whether both counts are in proportion; two zeros are, one zero is not."""
    if numerator == 0 or denominator == 0:
        return numerator == denominator
    least, most = to_fraction(rule.min_ratio), to_fraction(rule.max_ratio)
    return least * denominator <= numerator <= most * denominator


def is_ratio_reachable(numerator_bounds: Bounds, denominator_bounds: Bounds, rule: RatioRule) -> bool:
    """Return whether any counts above zero within the bounds are in proportion."""
    least, most = to_fraction(rule.min_ratio), to_fraction(rule.max_ratio)
    smallest, largest = max(numerator_bounds[0], 1), numerator_bounds[1]
    first = max(denominator_bounds[0], 1, ceil(smallest / most))
    last = denominator_bounds[1] if least == 0 else min(denominator_bounds[1], floor(largest / least))
    return any(
        max(ceil(least * count), smallest) <= min(floor(most * count), largest) for count in range(first, last + 1)
    )


def to_fraction(ratio: float) -> Fraction:
    """Return the number that was written, not its nearest neighbor in floating point."""
    return Fraction(repr(ratio))


def _clamp(count: int, bounds: Bounds) -> int:
    return min(max(count, bounds[0]), bounds[1])
