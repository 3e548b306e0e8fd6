"""The highest rate over each horizon, at wanted quantiles. A forecaster sees a history and nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import NormalDist, median
from typing import Protocol

import numpy as np
import numpy.typing as npt

from optimizer.demand.history import DemandHistory, RateMean, RateSample, compute_mean
from optimizer.errors import InvalidInput

Forecast = npt.NDArray[np.float64]
"""Rates [1/s], one row per horizon and one column per level."""


class Forecaster(Protocol):
    """Forecasts the highest rate to come."""

    def forecast(self, history: DemandHistory, horizons_s: tuple[float, ...], levels: tuple[float, ...]) -> Forecast:
        """Return the maximum of the rate over (now, now + horizon] [1/s], H horizons x L levels.

        Parameters
        ----------
        history
            Samples up to now; an empty one gives zeros.
        horizons_s
            How far to look [s], >= 0.
        levels
            Quantiles (0-1) that the forecast holds with.
        """
        ...


@dataclass(frozen=True, slots=True)
class RobustForecaster:
    """Quick to see a step, slow to believe noise, and led by a trend only where it has lasted.

    *Level.* The mean over the last complete minute stands until a shorter look back shows more than `change_sds`
    standard deviations of Poisson counts above the minute before it: then that one stands, whole. A step is thus asked
    for in full by the first sample that lies behind it, while a noisy sample changes nothing. Samples that are not
    complete take part in looking back, never in the minute that stands: they can only raise.

    *Trend.* The samples are laid into six blocks; the median of the five increments between them is the trend. A step
    touches two increments at most, so the median does not see it; a ramp is in all of them. Only growth beyond
    `trend_sds` standard errors counts, and it is added from the middle of the minute to the horizon.

    *Margin.* + z * sqrt(level / 60 s), the error of a mean over a minute, z the normal quantile of the level asked for.

    Attributes
    ----------
    lookbacks_s
        How far the shorter looks go back, besides the newest sample alone [s].
    base_s
        Length of the minute [s].
    block_s
        Length of a block of the trend [s]; shorter while the history is.
    change_sds, trend_sds
        As above.

    Notes
    -----
    Source: the square-root margin of time-varying staffing (Whitt); level and trend are derived here. With Poisson
    counts the variance of a mean over t is rate / t, and a difference of two means has the sum of their variances;
    0.39 is the standard deviation of the median of five increments between six means, over that of one of them.
    """

    lookbacks_s: tuple[float, ...] = (30.0, 60.0)
    base_s: float = 60.0
    block_s: float = 40.0
    change_sds: float = 2.5
    trend_sds: float = 1.0

    def forecast(self, history: DemandHistory, horizons_s: tuple[float, ...], levels: tuple[float, ...]) -> Forecast:
        """Return the maximum of the rate over each horizon [1/s]; see the class and `Forecaster`."""
        _check_arguments(horizons_s, levels)
        level = self.estimate_level(history)
        if level is None:
            return np.zeros((len(horizons_s), len(levels)))
        trend_per_s2 = self.estimate_trend_per_s2(history)
        z = np.array([NormalDist().inv_cdf(entry) for entry in levels])
        rates = level.rate_per_s + trend_per_s2 * (level.lag_s + np.array(horizons_s, dtype=np.float64))
        margins = np.sqrt(rates / self.base_s)[:, None] * z[None, :]
        forecast: Forecast = np.maximum(rates[:, None] + margins, 0.0)
        return forecast

    def estimate_level(self, history: DemandHistory) -> Level | None:
        """Return the present rate, None for an empty history."""
        end_s = history.end_s
        if end_s is None:
            return None
        level = self._get_standing(history)
        shorter = [history.samples[-1:], *(history.select(end_s - back_s, end_s) for back_s in self.lookbacks_s)]
        for samples in shorter:
            recent = compute_mean(samples)
            if recent is None:
                continue
            before = self._get_base(history, samples[0].start_s)
            stands = level is None or (
                recent.rate_per_s > level.rate_per_s and before is not None and self._is_change(before, recent)
            )
            if stands:
                level = Level(recent.rate_per_s, 0.5 * (end_s - samples[0].start_s))
        return level

    def estimate_trend_per_s2(self, history: DemandHistory) -> float:
        """Return the lasting growth of the rate [1/s^2], >= 0; 0 while the history is too short to tell."""
        end_s = history.end_s
        if end_s is None:
            return 0.0
        span_s = end_s - history.samples[0].start_s
        block_s = min(self.block_s, span_s / 6.0)
        if block_s <= 0.0:
            return 0.0
        starts_s = [end_s - (6 - index) * block_s for index in range(6)]
        blocks = [compute_mean(_cut_complete(history.samples, start_s, start_s + block_s)) for start_s in starts_s]
        means = [block for block in blocks if block is not None]
        if len(means) < 6:
            return 0.0
        increment_per_s = median(after.rate_per_s - before.rate_per_s for before, after in pairwise(means))
        error_per_s = 0.39 * math.sqrt(2.0 * means[-1].rate_per_s / means[-1].counted_s)
        return max(increment_per_s - self.trend_sds * error_per_s, 0.0) / block_s

    def _get_standing(self, history: DemandHistory) -> Level | None:
        """Return the mean over the last complete minute, None when the samples have no duration."""
        ends_s = [entry.end_s for entry in history.samples if entry.is_complete] or [history.samples[-1].end_s]
        mean = self._get_base(history, ends_s[-1])
        return None if mean is None else Level(mean.rate_per_s, 0.5 * self.base_s)

    def _get_base(self, history: DemandHistory, end_s: float) -> RateMean | None:
        """Return the mean over the complete minute before `end_s` [s], or over the newest complete sample before it.

        Where nothing in the history is complete, everything counts: there is nothing better.
        """
        past = [entry for entry in history.samples if entry.end_s <= end_s + 1e-9]
        complete = [entry for entry in past if entry.is_complete]
        if not any(entry.is_complete for entry in history.samples):
            complete = past
        minute = [entry for entry in complete if entry.end_s > end_s - self.base_s]
        return compute_mean(minute or complete[-1:])

    def _is_change(self, before: RateMean, recent: RateMean) -> bool:
        counted_s = before.counted_s + recent.counted_s
        pooled_per_s = (before.rate_per_s * before.counted_s + recent.rate_per_s * recent.counted_s) / counted_s
        variance = pooled_per_s * (1.0 / before.counted_s + 1.0 / recent.counted_s)
        return recent.rate_per_s - before.rate_per_s > self.change_sds * math.sqrt(variance)


@dataclass(frozen=True, slots=True)
class Level:
    """The present rate [1/s], and how long ago on average what it rests on happened [s]."""

    rate_per_s: float
    lag_s: float


def _cut_complete(samples: Iterable[RateSample], start_s: float, end_s: float) -> list[RateSample]:
    """Return the complete samples, cut to what lies between `start_s` and `end_s` [s]."""
    return [
        replace(entry, start_s=max(entry.start_s, start_s), end_s=min(entry.end_s, end_s))
        for entry in samples
        if entry.is_complete and entry.end_s > start_s and entry.start_s < end_s
    ]


def _check_arguments(horizons_s: tuple[float, ...], levels: tuple[float, ...]) -> None:
    for horizon_s in horizons_s:
        if not 0.0 <= horizon_s < math.inf:
            raise InvalidInput("horizons_s", "finite and >= 0 [s]", horizon_s)
    for level in levels:
        if not 0.0 < level < 1.0:
            raise InvalidInput("levels", "within (0, 1)", level)
