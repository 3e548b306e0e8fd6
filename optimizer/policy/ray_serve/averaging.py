"""Load of a Ray Serve deployment over its look-back: series of replicas become one total, and that its mean.

It scales nothing.

Source
------
Ray Serve, merging of time series: instants are rounded to 10 ms, a value holds until the next one of its series.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_DECIMALS = 2


@dataclass(frozen=True, slots=True)
class LoadPoint:
    """Requests ongoing and queued from `time_s` [s] on."""

    time_s: float
    requests: float


def merge_total(series: Sequence[Sequence[LoadPoint]]) -> tuple[LoadPoint, ...]:
    """Return the sum of step functions; one that has not begun counts 0. Points of one instant become one."""
    changes: list[tuple[float, float]] = []
    for points in series:
        before = 0.0
        for point in sorted(points, key=lambda entry: entry.time_s):
            changes.append((round(point.time_s, _DECIMALS), point.requests - before))
            before = point.requests
    total, merged = 0.0, list[LoadPoint]()
    for time_s, change in sorted(changes, key=lambda entry: entry[0]):
        total += change
        if merged and merged[-1].time_s == time_s:
            merged.pop()
        merged.append(LoadPoint(time_s, total))
    return tuple(merged)


def compute_time_weighted_mean(
    points: Sequence[LoadPoint], last_value_holds_s: float, window_start_s: float | None = None
) -> float | None:
    """Return the mean of a step function [requests], None when it spans no time.

    Parameters
    ----------
    points
        Ascending in time.
    last_value_holds_s
        For how long the last value is counted [s].
    window_start_s
        Where the mean begins [s]: with every series begun; None means at the first point.
    """
    if not points:
        return None
    start_s = points[0].time_s if window_start_s is None else window_start_s
    ends_s = (*(point.time_s for point in points[1:]), points[-1].time_s + last_value_holds_s)
    area, span_s = 0.0, 0.0
    for point, end_s in zip(points, ends_s, strict=True):
        part_s = end_s - max(point.time_s, start_s)
        if part_s > 0.0:
            area += point.requests * part_s
            span_s += part_s
    return area / span_s if span_s > 0.0 else None
