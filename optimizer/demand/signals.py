"""Signals of one pod: its pages over time become the figures that a policy asked for, or why there are none.

gauge      the newest value
rate       (v - v0) / (t - t0), v at the newest page t, v0 at the newest page t0 ≤ t - window_s, or the oldest one known
quantile   of what a histogram gained between these two pages

It knows no engine, no policy, and not whether a pod counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from optimizer.demand.difference import START_TOLERANCE_S
from optimizer.demand.histogram import compute_quantile, subtract_histogram
from optimizer.domain import (
    HistogramReading,
    Observation,
    PodKey,
    PodReading,
    PodSignals,
    Reason,
    ReasonCode,
    SignalKind,
    SignalSpec,
    VariantKey,
)

PAGES_PER_WINDOW = 24
"""Pages kept of one window: the begin of a window is known to this part of it, and memory stays small."""

LONGEST_GAP_S = 120.0
"""After a longer time without a page, and longer than the window, a series begins anew [s]."""

SeriesValue: TypeAlias = float | HistogramReading


@dataclass(frozen=True, slots=True)
class SeriesSample:
    """A series as the page of `time_s` [s] had it."""

    time_s: float
    value: SeriesValue


@dataclass(frozen=True, slots=True)
class SignalHistory:
    """What is remembered of one pod's pages, as far as signals need it.

    Attributes
    ----------
    specs
        What is asked for; for others begin a new history.
    time_s
        Of the newest page [s], None before the first.
    start_s
        When the process of that page began [s], as far as pages say.
    restarted_s
        Of the first page after a restart, or after any count fell [s], None when that was never seen.
    samples
        By the name of the spec, oldest first, at most ``PAGES_PER_WINDOW + 3``; of a gauge the newest only.
    problems
        Why the newest page shows a series that could not be read, by the name of the spec.
    """

    specs: tuple[SignalSpec, ...] = ()
    time_s: float | None = None
    start_s: float | None = None
    restarted_s: float | None = None
    samples: Mapping[str, tuple[SeriesSample, ...]] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)


def track_signals(history: SignalHistory, reading: PodReading) -> SignalHistory:
    """Return `history` with a newer page in it; a page that is not newer changes nothing.

    Counts that fall, or another start of the process, begin anew: the next page tells a rate again. A series that no
    page of this process had before stood at 0 on the page before, for engines show a series from its first use on. So
    the `empty_reading` of the moment a pod began makes its first page count from 0.
    """
    if history.time_s is not None and reading.time_s <= history.time_s:
        return history
    is_restarted = _is_restarted(history, reading)
    before = SignalHistory(history.specs) if is_restarted else history
    restarted_s = reading.time_s if is_restarted else history.restarted_s
    samples: dict[str, tuple[SeriesSample, ...]] = {}
    for spec in history.specs:
        kept, value = before.samples.get(spec.name, ()), reading.series.get(spec.name)
        if value is None:
            samples[spec.name] = kept
            continue
        if kept and spec.kind is not SignalKind.GAUGE and _has_fallen(kept[-1].value, value):
            kept, restarted_s = (), reading.time_s
        elif not kept and before.time_s is not None:
            kept = (SeriesSample(before.time_s, _to_zero(value)),)
        samples[spec.name] = _append(kept, SeriesSample(reading.time_s, value), spec)
    return SignalHistory(
        history.specs, reading.time_s, reading.start_s, restarted_s, samples, dict(reading.series_problems)
    )


def compute_signals(
    history: SignalHistory,
    pod: PodKey,
    variant: VariantKey,
    now_s: float,
    *,
    max_age_s: float = math.inf,
    reason: Reason | None = None,
) -> PodSignals:
    """Return the signals of `pod` as of its newest page, each a value or why there is none.

    Parameters
    ----------
    history
        Its pages.
    pod, variant
        Whose they are.
    now_s
        The present [s].
    max_age_s
        An older page tells nothing any more [s].
    reason
        Why there was no newer page, None when nobody knows; told of signals that are absent for want of a page.

    Returns
    -------
    PodSignals
        Reasons: ``NO_DATA`` (no page yet), ``STALE``, ``METRIC_MISSING`` (the page does not show the series),
        ``FIRST_READING``, ``COUNTER_RESET`` (the next page tells), ``FEW_SAMPLES`` (too few for the quantile).
    """
    newest_s = history.time_s
    missing: Reason | None
    if newest_s is None:
        missing = reason or Reason(ReasonCode.NO_DATA, f"{pod.name}: it has shown no page yet")
    elif now_s - newest_s <= max_age_s:
        missing = None
    else:
        missing = reason or Reason(ReasonCode.STALE, f"{pod.name}: its newest page is {now_s - newest_s:.0f} s old")
    values = {
        spec.name: _compute(history, spec, pod) if missing is None else Observation(reason=missing)
        for spec in history.specs
    }
    return PodSignals(pod, variant, now_s if newest_s is None else newest_s, values)


def _is_restarted(history: SignalHistory, reading: PodReading) -> bool:
    """Whether `reading` is of another process: it began at another time, or where nobody tells that, a count fell."""
    if history.start_s is not None and reading.start_s is not None:
        return abs(reading.start_s - history.start_s) > START_TOLERANCE_S
    for spec in history.specs:
        kept, value = history.samples.get(spec.name, ()), reading.series.get(spec.name)
        if spec.kind is not SignalKind.GAUGE and kept and value is not None and _has_fallen(kept[-1].value, value):
            return True
    return False


def _has_fallen(older: SeriesValue, newer: SeriesValue) -> bool:
    """Whether a count is lower than before, or no longer comparable."""
    if isinstance(older, HistogramReading) and isinstance(newer, HistogramReading):
        return subtract_histogram(newer, older) is None
    if isinstance(older, HistogramReading) or isinstance(newer, HistogramReading):
        return True
    return newer < older


def _to_zero(value: SeriesValue) -> SeriesValue:
    if isinstance(value, HistogramReading):
        return HistogramReading(value.edges, (0.0,) * len(value.edges), 0.0, 0.0)
    return 0.0


def _append(kept: tuple[SeriesSample, ...], sample: SeriesSample, spec: SignalSpec) -> tuple[SeriesSample, ...]:
    """Return `kept` with `sample`: the newest always, those before it some way apart, one that begins the window."""
    if spec.kind is SignalKind.GAUGE:
        return (sample,)
    if len(kept) > 1 and kept[-1].time_s - kept[-2].time_s < spec.window_s / PAGES_PER_WINDOW:
        kept = kept[:-1]
    if kept and sample.time_s - kept[-1].time_s > max(spec.window_s, LONGEST_GAP_S):
        return (sample,)  # what grew over a gap says little of the window: begin anew
    begin_s, first = sample.time_s - spec.window_s, 0
    while first + 1 < len(kept) and kept[first + 1].time_s <= begin_s:
        first += 1
    return (*kept[first:], sample)


def _compute(history: SignalHistory, spec: SignalSpec, pod: PodKey) -> Observation:
    samples = history.samples.get(spec.name, ())
    if not samples or samples[-1].time_s != history.time_s:
        problem = history.problems.get(spec.name)
        said = f"does not show {spec.series}" if problem is None else f"shows {spec.series}, but {problem}"
        return Observation.absent(ReasonCode.METRIC_MISSING, f"{pod.name}: the page {said}")
    first, last = samples[0], samples[-1]
    if spec.kind is SignalKind.GAUGE:
        return _to_number(last.value, spec, pod)
    if first is last:
        is_reset = first.time_s == history.restarted_s
        code = ReasonCode.COUNTER_RESET if is_reset else ReasonCode.FIRST_READING
        return Observation.absent(code, f"{pod.name}: {spec.series} was read once; the next page tells how it grows")
    if spec.kind is SignalKind.QUANTILE:
        return _compute_quantile(first.value, last.value, spec, pod)
    gained = _count(last.value) - _count(first.value)
    return Observation(gained / (last.time_s - first.time_s))


def _compute_quantile(first: SeriesValue, last: SeriesValue, spec: SignalSpec, pod: PodKey) -> Observation:
    gained = None
    if isinstance(first, HistogramReading) and isinstance(last, HistogramReading):
        gained = subtract_histogram(last, first)
    if gained is None or spec.quantile_ratio is None:
        return Observation.absent(ReasonCode.METRIC_MISSING, f"{pod.name}: {spec.series} is no histogram on the page")
    return compute_quantile(gained, spec.quantile_ratio)


def _to_number(value: SeriesValue, spec: SignalSpec, pod: PodKey) -> Observation:
    if isinstance(value, HistogramReading):
        return Observation.absent(ReasonCode.METRIC_MISSING, f"{pod.name}: {spec.series} is a histogram, no gauge")
    return Observation(value)


def _count(value: SeriesValue) -> float:
    return value.count if isinstance(value, HistogramReading) else value
