"""Two readings of one pod become a DemandWindow: what was offered, finished and seen between them, or why not.

It computes no rates and looks at no more than two readings.
"""

from __future__ import annotations

from optimizer.demand.arrivals import count_arrivals
from optimizer.demand.difference import Difference, find_fault
from optimizer.demand.length_sums import compute_length_sums
from optimizer.domain import (
    Counter,
    DemandSource,
    DemandWindow,
    Gauge,
    Histogram,
    HistogramReading,
    LengthSums,
    PodKey,
    PodReading,
    Reason,
    ReasonCode,
)

_LATENCIES = (Histogram.TTFT, Histogram.ITL, Histogram.TTLT, Histogram.QUEUE_TIME)


def compute_window(previous: PodReading | None, current: PodReading) -> DemandWindow:
    """Return what happened on one pod between two readings.

    What a page does not tell is None in the window. Without arrivals the window carries a reason: ``FIRST_READING``
    (there is no `previous`), ``COUNTER_RESET`` (the server restarted), ``STALE`` (`current` is not newer),
    ``BAD_PAGE`` or ``METRIC_MISSING`` (the page is not whole, or the engine tells too little), ``FROZEN`` (requests in
    flight and nothing moves). A restart never yields a number: what the new process counts is told by the next window.

    Arrivals are never negative; windows add up exactly all the same, see `DemandWindow.overcounted_arrivals`.

    Raises
    ------
    InvalidInput
        If the readings are of two pods.

    Source
    ------
    The counts of `optimizer.demand.arrivals`; all else is a difference of cumulative figures.
    """
    if previous is None:
        first = Reason(ReasonCode.FIRST_READING, f"{current.pod.name}: its first page; the next one closes a window")
        return _build_absent(current.time_s, current, first)
    fault = find_fault(previous, current)
    if fault is not None:
        return _build_absent(previous.time_s, current, fault)
    step = Difference(previous, current)
    counted = count_arrivals(step)
    if isinstance(counted, Reason) and counted.code is ReasonCode.FROZEN:
        return _build_absent(previous.time_s, current, counted)
    reason = counted if isinstance(counted, Reason) else None
    source, arrivals = (DemandSource.NONE, None) if isinstance(counted, Reason) else counted
    return DemandWindow(
        start_s=previous.time_s,
        end_s=current.time_s,
        source=source,
        pod=current.pod,
        arrivals=None if arrivals is None else max(arrivals, 0.0),
        overcounted_arrivals=0.0 if arrivals is None else max(-arrivals, 0.0),
        completions=step.get(Counter.FINISHED),
        waiting_requests=current.gauges.get(Gauge.WAITING_REQUESTS),
        input_lengths=_compute_lengths(step, Histogram.INPUT_TOKENS),
        output_lengths=_compute_lengths(step, Histogram.OUTPUT_TOKENS),
        prompt_tokens=step.get(Counter.PROMPT_TOKENS),
        cached_tokens=step.get(Counter.CACHED_TOKENS),
        generated_tokens=step.get(Counter.GENERATED_TOKENS),
        iterations=step.get(Counter.ITERATIONS),
        latencies=_subtract_latencies(step),
        is_changed=current.is_changed,
        reason=reason,
    )


def empty_reading(pod: PodKey, model_name: str, engine: str, time_s: float) -> PodReading:
    """Return the reading of a pod at the moment it began, before any request reached it.

    It serves as `previous` of the first page of a pod that is known to be no older than `time_s` [s]: then all that its
    first page counts was offered since, also where several ranks or series appear only later.
    """
    gauges = {Gauge.RUNNING_REQUESTS: 0.0, Gauge.WAITING_REQUESTS: 0.0}
    return PodReading(pod, model_name, engine, time_s, gauges=gauges, ranks=0)


def choose_baseline(previous: PodReading | None, current: PodReading, max_age_s: float) -> PodReading:
    """Return from which of two readings the next window should start.

    That is `current`, unless it is older than `previous`, shows less of the same process, or is not whole: a window
    that started there would later show all the missing as arrivals. Such a page is passed over for `max_age_s` [s].
    """
    if previous is None or abs(current.time_s - previous.time_s) > max_age_s:
        return current
    fault = find_fault(previous, current)
    return current if fault is None or fault.code is ReasonCode.COUNTER_RESET else previous


def _build_absent(start_s: float, current: PodReading, reason: Reason) -> DemandWindow:
    is_trusted = reason.code in (ReasonCode.FIRST_READING, ReasonCode.COUNTER_RESET)
    waiting = current.gauges.get(Gauge.WAITING_REQUESTS) if is_trusted else None
    end_s = max(start_s, current.time_s)
    return DemandWindow(start_s, end_s, DemandSource.NONE, pod=current.pod, waiting_requests=waiting, reason=reason)


def _compute_lengths(step: Difference, histogram: Histogram) -> LengthSums | None:
    observed = step.get_histogram(histogram)
    return None if observed is None else compute_length_sums(observed)


def _subtract_latencies(step: Difference) -> dict[Histogram, HistogramReading]:
    found = {histogram: step.get_histogram(histogram) for histogram in _LATENCIES}
    return {histogram: observed for histogram, observed in found.items() if observed is not None}
