"""Cumulative histograms: the part of a window, sums over servers, quantiles and attained shares. It knows no counters.

F(x) = cumulative count at x, linear between two edges; the bucket above the last edge has no upper end
"""

from __future__ import annotations

import math
from bisect import bisect_left

from optimizer.domain import HistogramReading, Observation, ReasonCode
from optimizer.errors import InvalidInput


def subtract_histogram(newer: HistogramReading, older: HistogramReading) -> HistogramReading | None:
    """Return what was observed between `older` and `newer`.

    Without a shape when their edges differ; None when `newer` has less of anything, which no one process shows.
    """
    count, total = newer.count - older.count, newer.total - older.total
    if count < 0.0:
        return None
    if newer.edges != older.edges:
        return HistogramReading((), (), count, total)
    parts = tuple(high - low for high, low in zip(newer.cumulative, older.cumulative, strict=True))
    if any(high < low for low, high in zip((0.0, *parts), (*parts, count), strict=True)):
        return None
    return HistogramReading(newer.edges, parts, count, total)


def merge_histograms(one: HistogramReading, other: HistogramReading) -> HistogramReading:
    """Return the histogram of both sets of observations.

    Where their edges differ the result has the edges of both, and each is interpolated at the edges of the other; what
    lies above the last edge of one stays above all edges. Without a shape if one of them has none but has observations.
    """
    if other.count == 0.0 or one.count == 0.0:
        return one if other.count == 0.0 else other
    count, total = one.count + other.count, one.total + other.total
    if not one.edges or not other.edges:
        return HistogramReading((), (), count, total)
    if one.edges == other.edges:
        edges, cumulative = one.edges, zip(one.cumulative, other.cumulative, strict=True)
        return HistogramReading(edges, tuple(low + high for low, high in cumulative), count, total)
    edges = tuple(sorted({*one.edges, *other.edges}))
    sums = tuple(interpolate_count(one, edge) + interpolate_count(other, edge) for edge in edges)
    return HistogramReading(edges, sums, count, total)


def interpolate_count(histogram: HistogramReading, value: float) -> float:
    """Return how many observations are at or below `value`: exact on an edge, at least so many above the last one.

    The lowest bucket is taken to begin at 0.
    """
    place = bisect_left(histogram.edges, value)
    if place == len(histogram.edges):
        return histogram.cumulative[-1] if histogram.edges else 0.0
    low, low_count = (histogram.edges[place - 1], histogram.cumulative[place - 1]) if place else (0.0, 0.0)
    high, high_count = histogram.edges[place], histogram.cumulative[place]
    if value >= high:
        return high_count
    if value <= low:
        return low_count
    return low_count + (high_count - low_count) * (value - low) / (high - low)


def compute_attained_ratio(histogram: HistogramReading, target: float) -> Observation:
    """Return the share of observations at or below `target` [0-1], absent when there was none or no shape is known.

    Exact when the target is an edge; a lower bound when it lies above the last edge.
    """
    if histogram.count <= 0.0:
        return Observation.absent(ReasonCode.NO_DATA, "nothing was observed")
    if not histogram.edges:
        return Observation.absent(ReasonCode.NO_DATA, "the histogram has no shape, only a count and a sum")
    return Observation(interpolate_count(histogram, target) / histogram.count)


def compute_quantile(histogram: HistogramReading, ratio: float) -> Observation:
    """Return the value that the share `ratio` of the observations does not exceed, in the unit of the edges.

    Resolved to a bucket, linear within; ``math.inf`` when it lies above the last edge. Absent when no shape is known,
    or when there are too few observations to say: 6 for the median, 30 for the 90th percentile, 100 for the 99th.

    Raises
    ------
    InvalidInput
        Unless 0 < ratio < 1.
    """
    if not 0.0 < ratio < 1.0:
        raise InvalidInput("ratio", "> 0 and < 1", ratio)
    if not histogram.edges:
        return Observation.absent(ReasonCode.NO_DATA, "the histogram has no shape, only a count and a sum")
    least = _count_needed(ratio)
    if histogram.count < least:
        message = f"quantile {ratio:g} needs {least} observations, got {histogram.count:g}"
        return Observation.absent(ReasonCode.FEW_SAMPLES, message)
    rank = ratio * histogram.count
    place = bisect_left(histogram.cumulative, rank)
    if place == len(histogram.edges):
        return Observation(math.inf)
    low, low_count = (histogram.edges[place - 1], histogram.cumulative[place - 1]) if place else (0.0, 0.0)
    high, high_count = histogram.edges[place], histogram.cumulative[place]
    low = min(low, high)
    return Observation(low + (high - low) * (rank - low_count) / (high_count - low_count))


def _count_needed(ratio: float) -> int:
    rest = 1.0 - ratio
    return math.ceil(min(3.0 / rest, max(30.0, 1.0 / rest)) - 1e-9)
