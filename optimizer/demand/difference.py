"""What moved between two readings of one pod, and whether they can be compared at all. It counts no arrivals.

Absent is not zero, with one exception that engines make common: a series appears when it is first used. So a figure
that the older page lacks stood at 0 if nothing on that page that would have moved no later had moved.
"""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.demand.histogram import subtract_histogram
from optimizer.domain import Counter, Gauge, Histogram, HistogramReading, PodReading, Reason, ReasonCode
from optimizer.errors import InvalidInput

START_TOLERANCE_S = 1.0
"""Two starts further apart are those of two processes [s]."""

_AT_END_COUNTERS = frozenset({Counter.HTTP_REQUESTS, Counter.HTTP_OK, Counter.FINISHED})
_AT_END_HISTOGRAMS = frozenset({Histogram.TTLT, Histogram.INPUT_TOKENS, Histogram.OUTPUT_TOKENS, Histogram.SEQUENCES})


@dataclass(frozen=True, slots=True)
class Difference:
    """The step from `older` to `newer`, two readings of one process between which `find_fault` found no fault."""

    older: PodReading
    newer: PodReading

    def get(self, counter: Counter) -> float | None:
        """Return by how much `counter` moved, None when that is not known."""
        value = self.newer.counters.get(counter)
        if value is None:
            return None
        if counter in self.older.counters:
            return value - self.older.counters[counter]
        return value if _is_untouched(self.older, at_end=counter in _AT_END_COUNTERS) else None

    def get_histogram(self, histogram: Histogram) -> HistogramReading | None:
        """Return what `histogram` observed in between, None when that is not known."""
        reading, older = self.newer.histograms.get(histogram), self.older.histograms.get(histogram)
        if reading is None:
            return None
        if older is not None:
            return subtract_histogram(reading, older)
        return reading if _is_untouched(self.older, at_end=histogram in _AT_END_HISTOGRAMS) else None

    def get_gauges(self, *gauges: Gauge) -> float | None:
        """Return by how much the sum of `gauges` changed, None when that is not known."""
        older, newer = sum_gauges(self.older, *gauges), sum_gauges(self.newer, *gauges)
        return None if older is None or newer is None else newer - older


def sum_gauges(reading: PodReading, *gauges: Gauge) -> float | None:
    """Return the sum of `gauges`, None when one is not known.

    A server that has not yet done anything may lack them; only counters that all stand at 0 show that.
    """
    if any(gauge not in reading.gauges for gauge in gauges) and not is_idle_since_start(reading):
        return None
    return sum(reading.gauges.get(gauge, 0.0) for gauge in gauges)


def is_idle_since_start(reading: PodReading) -> bool:
    """Return whether the page shows counters, and all of them at 0."""
    return bool(reading.counters) and _is_untouched(reading, at_end=False)


def find_fault(older: PodReading, newer: PodReading) -> Reason | None:
    """Return why `newer` cannot be compared with `older`, None when it can.

    ``STALE``: it is not newer. ``COUNTER_RESET``: another process. ``BAD_PAGE``: it shows less than the same process
    showed before. ``METRIC_MISSING``: it lacks what was there, so that it is not whole.

    Raises
    ------
    InvalidInput
        If they are of two pods.
    """
    if older.pod != newer.pod:
        raise InvalidInput("current.pod", f"the pod of the reading before, {older.pod}", newer.pod)
    name = newer.pod.name
    if newer.time_s <= older.time_s:
        return Reason(ReasonCode.STALE, f"{name}: the page is not newer than the one before")
    if (older.model_name, older.engine) != (newer.model_name, newer.engine):
        message = (
            f"{name}: the page is now that of {newer.engine} {newer.model_name}, not {older.engine} {older.model_name}"
        )
        return Reason(ReasonCode.COUNTER_RESET, message)
    is_start_known = older.start_s is not None and newer.start_s is not None
    if is_start_known and abs(_get_start_s(newer) - _get_start_s(older)) > START_TOLERANCE_S:
        return Reason(ReasonCode.COUNTER_RESET, f"{name}: the server was started anew")
    fallen = _find_fallen(older, newer)
    if fallen is not None and is_start_known:
        return Reason(ReasonCode.BAD_PAGE, f"{name}: {fallen} went back although the server was not started anew")
    if fallen is not None:
        return Reason(ReasonCode.COUNTER_RESET, f"{name}: {fallen} went back")
    lost = sorted((older.counters.keys() - newer.counters.keys()) | (older.histograms.keys() - newer.histograms.keys()))
    if lost:
        return Reason(ReasonCode.METRIC_MISSING, f"{name}: the page lacks {', '.join(lost)}, which it had before")
    if older.ranks and older.ranks != newer.ranks:
        message = f"{name}: the page shows {newer.ranks} data-parallel ranks, {older.ranks} before"
        return Reason(ReasonCode.METRIC_MISSING, message)
    return None


def _find_fallen(older: PodReading, newer: PodReading) -> str | None:
    for counter, value in newer.counters.items():
        if value < older.counters.get(counter, 0.0):
            return counter
    for histogram, reading in newer.histograms.items():
        before = older.histograms.get(histogram)
        if before is not None and reading.count < before.count:
            return histogram
    return None


def _get_start_s(reading: PodReading) -> float:
    return 0.0 if reading.start_s is None else reading.start_s


def _is_untouched(reading: PodReading, *, at_end: bool) -> bool:
    """Whether nothing had moved: of all figures, or of those that move when a request ends."""
    counters = (value for counter, value in reading.counters.items() if not at_end or counter in _AT_END_COUNTERS)
    histograms = (value.count for name, value in reading.histograms.items() if not at_end or name in _AT_END_HISTOGRAMS)
    return not any(counters) and not any(histograms)
