"""Windows added up: consecutive windows of a pod, and windows of several pods, into one. It fills no gaps.

    arrivals = sum over windows of (arrivals - overcounted)
    duration = arrivals / sum over pods of (arrivals of the pod / time the pod was watched)

so that counts stay counts and arrivals / duration is the sum of the pods' rates, also where their windows do not begin
and end together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from itertools import pairwise

from optimizer.demand.histogram import merge_histograms
from optimizer.demand.length_sums import merge_length_sums
from optimizer.domain import (
    DemandSource,
    DemandWindow,
    Histogram,
    HistogramReading,
    LengthSums,
    PodKey,
    Reason,
    ReasonCode,
)
from optimizer.errors import InvalidInput

_OVERLAP_TOLERANCE_S = 1e-6
_TRUST = list(DemandSource)
_Series = tuple[PodKey | None, str]


def merge_windows(windows: Iterable[DemandWindow]) -> DemandWindow:
    """Return one window that says what `windows` say together.

    A count is known only if every window knows it; lengths and latencies are samples, those that are known are added.
    Waiting requests are those at the end of each pod's last window. The source is the least trusted one; pod and class
    are kept where all agree. Without arrivals the reason is ``PARTIAL_DATA``, or that of the only window.

    Raises
    ------
    InvalidInput
        If there is no window, or two windows of one pod and class overlap.
    """
    ordered = sorted(windows, key=lambda window: (window.end_s, window.start_s))
    if not ordered:
        raise InvalidInput("windows", "at least one window", ordered)
    if len(ordered) == 1:
        return ordered[0]
    series = _sort_by_series(ordered)
    total = _add_known(ordered, lambda window: window.arrivals)
    overcounted = sum(window.overcounted_arrivals for window in ordered)
    net = 0.0 if total is None else total - overcounted
    end_s = ordered[-1].end_s
    return DemandWindow(
        start_s=end_s - _compute_duration_s(series, net if total is not None else None),
        end_s=end_s,
        source=DemandSource.NONE if total is None else max((window.source for window in ordered), key=_TRUST.index),
        pod=ordered[0].pod if len({window.pod for window in ordered}) == 1 else None,
        arrivals=None if total is None else max(net, 0.0),
        overcounted_arrivals=overcounted if total is None else max(-net, 0.0),
        completions=_add_known(ordered, lambda window: window.completions),
        waiting_requests=_add_known([own[-1] for own in series], lambda window: window.waiting_requests),
        input_lengths=_merge_lengths(window.input_lengths for window in ordered),
        output_lengths=_merge_lengths(window.output_lengths for window in ordered),
        prompt_tokens=_add_known(ordered, lambda window: window.prompt_tokens),
        cached_tokens=_add_known(ordered, lambda window: window.cached_tokens),
        generated_tokens=_add_known(ordered, lambda window: window.generated_tokens),
        iterations=_add_known(ordered, lambda window: window.iterations),
        latencies=_merge_latencies(ordered),
        service_class=ordered[0].service_class if len({window.service_class for window in ordered}) == 1 else "",
        reason=None if total is not None else _explain_gap(ordered),
    )


def _sort_by_series(ordered: Sequence[DemandWindow]) -> list[list[DemandWindow]]:
    """Return the windows of each pod and class, in order of time."""
    series: dict[_Series, list[DemandWindow]] = {}
    for window in ordered:
        series.setdefault((window.pod, window.service_class), []).append(window)
    for own in series.values():
        for before, after in pairwise(own):
            if after.start_s < before.end_s - _OVERLAP_TOLERANCE_S:
                raise InvalidInput("windows", f"apart from each other, before {before.end_s} [s]", after.start_s)
    return list(series.values())


def _compute_duration_s(series: Sequence[Sequence[DemandWindow]], arrivals: float | None) -> float:
    """Return the time over which `arrivals` make the sum of the rates [s]; the mean time watched if there were none."""
    watched = [sum(window.duration_s for window in own) for own in series]
    counts = [sum((window.arrivals or 0.0) - window.overcounted_arrivals for window in own) for own in series]
    rate_per_s = sum(count / duration_s for count, duration_s in zip(counts, watched, strict=True) if duration_s > 0.0)
    if arrivals is None or arrivals <= 0.0 or rate_per_s <= 0.0:
        return sum(watched) / len(watched)
    return arrivals / rate_per_s


def _add_known(windows: Sequence[DemandWindow], get: Callable[[DemandWindow], float | None]) -> float | None:
    values = [value for window in windows if (value := get(window)) is not None]
    return sum(values) if len(values) == len(windows) else None


def _merge_lengths(lengths: Iterable[LengthSums | None]) -> LengthSums | None:
    known = [sums for sums in lengths if sums is not None]
    return reduce(merge_length_sums, known) if known else None


def _merge_latencies(windows: Sequence[DemandWindow]) -> dict[Histogram, HistogramReading]:
    merged: dict[Histogram, HistogramReading] = {}
    for window in windows:
        for name, histogram in window.latencies.items():
            merged[name] = merge_histograms(merged[name], histogram) if name in merged else histogram
    return merged


def _explain_gap(windows: Sequence[DemandWindow]) -> Reason:
    absent = [window for window in windows if window.arrivals is None]
    first = next((window.reason for window in absent if window.reason is not None), None)
    message = f"{len(absent)} of {len(windows)} windows have no arrivals" + (f" ({first})" if first else "")
    return Reason(ReasonCode.PARTIAL_DATA, message)
