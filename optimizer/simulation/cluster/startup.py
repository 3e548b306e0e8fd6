"""How long a replica takes to start: a fixed time, or a lognormal given by its median and its 95th percentile.

    q(u) = median * (p95 / median)^(z(u) / z(0.95)),   z the quantile of the standard normal

Tabulated at u = k/1000 with decimal arithmetic, which is rounded correctly on every machine, and linear in between;
so the median and the 95th percentile are met exactly. Nothing is drawn here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import lru_cache
from statistics import NormalDist

from optimizer.errors import InvalidInput

_KNOTS = 1000
_CONTEXT = Context(prec=30)
_Z_DIGITS = 9  # a quantile of the normal is the same everywhere to this many decimals


@dataclass(frozen=True, slots=True)
class StartupTime:
    """From a replica having its devices to its being ready.

    Attributes
    ----------
    median_s
        Half of the starts take no longer, > 0 [s].
    p95_s
        95 in 100 take no longer, >= `median_s` [s]; None means that all take `median_s`.
    """

    median_s: float
    p95_s: float | None = None

    def __post_init__(self) -> None:
        """Raise InvalidInput where a bound is broken."""
        if not 0.0 <= self.median_s < math.inf:
            raise InvalidInput("startup.median_s", ">= 0 and finite [s]", self.median_s)
        if self.p95_s is not None and not 0.0 < self.median_s <= self.p95_s < math.inf:
            raise InvalidInput("startup.p95_s", f">= {self.median_s}, both > 0 [s]", self.p95_s)

    def compute_quantile_s(self, share_ratio: float) -> float:
        """Return the time that `share_ratio` [0-1] of the starts do not exceed [s].

        The tails end at 1 in 2000: a table has no longest start.
        """
        if self.p95_s is None or self.p95_s == self.median_s:
            return self.median_s
        table_s = _tabulate(self.median_s, self.p95_s)
        place = min(max(share_ratio, 0.5 / _KNOTS), 1.0 - 0.5 / _KNOTS) * _KNOTS
        if place <= 1.0:
            return _interpolate(table_s[0], table_s[1], (place - 0.5) * 2.0)
        if place >= _KNOTS - 1.0:
            return _interpolate(table_s[_KNOTS - 1], table_s[_KNOTS], (place - (_KNOTS - 1.0)) * 2.0)
        knot = int(place)
        return _interpolate(table_s[knot], table_s[knot + 1], place - knot)


def _interpolate(low_s: float, high_s: float, share: float) -> float:
    return low_s + share * (high_s - low_s) if share else low_s


@lru_cache(maxsize=64)
def _tabulate(median_s: float, p95_s: float) -> tuple[float, ...]:
    """Return q at 1/2000, then k/1000 for k = 1 .. 999, then 1999/2000."""
    shares = (0.5 / _KNOTS, *(knot / _KNOTS for knot in range(1, _KNOTS)), 1.0 - 0.5 / _KNOTS)
    median, spread = Decimal(median_s), _CONTEXT.ln(_CONTEXT.divide(Decimal(p95_s), Decimal(median_s)))
    slope = _CONTEXT.divide(spread, _to_z(0.95))
    return tuple(
        float(_CONTEXT.multiply(median, _CONTEXT.exp(_CONTEXT.multiply(slope, _to_z(share))))) for share in shares
    )


@lru_cache(maxsize=1)
def _to_normal() -> NormalDist:
    return NormalDist()


def _to_z(share: float) -> Decimal:
    return Decimal(f"{_to_normal().inv_cdf(share):.{_Z_DIGITS}f}")
