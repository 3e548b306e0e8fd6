"""History of one LLM's arrival rate: samples in time, newest last. Data and sums over it; it forecasts nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

KEPT_S = 900.0
"""How far back samples are kept [s]: four times what the forecaster looks at."""
KEPT_SAMPLES = 128
"""Most samples kept, so that the state stays small whatever the period is."""


@dataclass(frozen=True, slots=True)
class RateSample:
    """What was offered between two moments.

    Attributes
    ----------
    start_s, end_s
        The stretch this sample speaks for [s]; it does not overlap the sample before.
    rate_per_s
        Requests offered [1/s]; where not all were counted, scaled to the whole.
    seen_ratio
        Share of the load that was really counted (0-1]; the fewer, the noisier the rate.
    is_complete
        Whether everybody who carries load was counted. A sample that is not is a lower bound: it may raise an
        estimate and never lowers one.
    """

    start_s: float
    end_s: float
    rate_per_s: float
    seen_ratio: float = 1.0
    is_complete: bool = True

    @property
    def duration_s(self) -> float:
        """Length of the sample [s]."""
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class DemandHistory:
    """Samples of the rate, ascending in time."""

    samples: tuple[RateSample, ...] = ()

    @property
    def end_s(self) -> float | None:
        """End of the newest sample [s], None for an empty history."""
        return self.samples[-1].end_s if self.samples else None

    def append(self, sample: RateSample) -> DemandHistory:
        """Return this history with `sample` at its end, cut to what it does not overlap, and without what is too old.

        A sample that ends no later than the newest one tells nothing new and is left out.
        """
        if self.samples:
            newest = self.samples[-1]
            if sample.end_s <= newest.end_s:
                return self
            start_s = max(sample.start_s, newest.end_s)
            sample = RateSample(start_s, sample.end_s, sample.rate_per_s, sample.seen_ratio, sample.is_complete)
        kept = [entry for entry in self.samples if entry.end_s > sample.end_s - KEPT_S]
        return DemandHistory((*kept, sample)[-KEPT_SAMPLES:])

    def select(self, start_s: float, end_s: float) -> tuple[RateSample, ...]:
        """Return the samples whose middle lies in (`start_s`, `end_s`] [s]."""
        return tuple(entry for entry in self.samples if start_s < 0.5 * (entry.start_s + entry.end_s) <= end_s)


@dataclass(frozen=True, slots=True)
class RateMean:
    """A mean over samples.

    Attributes
    ----------
    rate_per_s
        Mean rate, weighted by duration [1/s].
    counted_s
        Time of full counting that is as sharp as these samples are [s]: the variance of the mean of Poisson arrivals
        is ``rate / counted_s``.
    """

    rate_per_s: float
    counted_s: float


def compute_mean(samples: Iterable[RateSample]) -> RateMean | None:
    """Return the mean rate over `samples`, None when they have no duration.

    With d_i their durations and r_i the shares counted: mean = sum(d_i rate_i) / sum(d_i), and since each rate has the
    variance rate / (d_i r_i), the sharpness is (sum d_i)^2 / sum(d_i / r_i).
    """
    entries = [entry for entry in samples if entry.duration_s > 0.0]
    duration_s = sum(entry.duration_s for entry in entries)
    if duration_s <= 0.0:
        return None
    rate_per_s = sum(entry.rate_per_s * entry.duration_s for entry in entries) / duration_s
    return RateMean(rate_per_s, duration_s**2 / sum(entry.duration_s / entry.seen_ratio for entry in entries))
