"""Iterations of one batch in a row: their times, sums of them, and how many end in a span. No engine, no clock.

While n requests decode and nothing else happens, their context grows by n tokens an iteration, and so its time by a
constant:

    time(j) = first + j * growth,   sum(k) = k * first + growth * k * (k - 1) / 2
"""

from __future__ import annotations

from math import isqrt
from typing import NamedTuple

ENDLESS = 1 << 62
"""More iterations than any batch lives for."""


class Steps(NamedTuple):
    """Iterations in a row.

    Attributes
    ----------
    first_ticks
        Time of the first one [ticks], > 0.
    growth_ticks
        How much longer each is than the one before [ticks], >= 0.
    limit
        How many follow that rule at most, >= 1.
    """

    first_ticks: int
    growth_ticks: int
    limit: int

    def sum_ticks(self, count: int) -> int:
        """Return the time of the first `count` together [ticks]."""
        return count * self.first_ticks + self.growth_ticks * (count * (count - 1) // 2)

    def skip(self, count: int) -> Steps:
        """Return what follows the first `count`."""
        return Steps(self.first_ticks + count * self.growth_ticks, self.growth_ticks, self.limit - count)

    def count_ended(self, span_ticks: int) -> int:
        """Return how many, one after the other, end within `span_ticks`, were they endless."""
        first, growth = self.first_ticks, self.growth_ticks
        if span_ticks < first:
            return 0
        if not growth:
            return span_ticks // first
        # Largest k with growth * k² + (2 * first - growth) * k <= 2 * span.
        linear = 2 * first - growth
        return (isqrt(linear * linear + 8 * growth * span_ticks) - linear) // (2 * growth)

    def count_up_to(self, longest_ticks: int) -> int:
        """Return how many, from the first on, take `longest_ticks` at most each, were they endless."""
        if longest_ticks < self.first_ticks:
            return 0
        return (longest_ticks - self.first_ticks) // self.growth_ticks + 1 if self.growth_ticks else ENDLESS
