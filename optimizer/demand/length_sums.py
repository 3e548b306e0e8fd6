"""Token lengths as sums over requests: from a histogram, added up, to a distribution. It keeps no history."""

from __future__ import annotations

from itertools import pairwise

from optimizer.demand.histogram import merge_histograms
from optimizer.domain import HistogramReading, LengthDistribution, LengthSums

_SHAPELESS_SQUARE_RATIO = 2.0
"""E[x^2] / E[x]^2 where no shape is known: that of the exponential distribution; chat lengths have 1.6 to 1.9."""


def compute_length_sums(histogram: HistogramReading) -> LengthSums:
    """Return the sums of the token lengths that `histogram` saw: count and total exact, squares from its shape.

    Source
    ------
    Lengths are uniform within a bucket, hence ``sum x^2 = n*(a^2 + a*b + b^2)/3`` in (a, b]; in the open bucket they
    have the mean that the total leaves. Then all lengths are stretched alike until they add up to the total. With edges
    1, 2, 5, 10, ... the squares of lognormal lengths come out up to 13 % too large.
    """
    if not histogram.edges or histogram.count <= 0.0:
        squares = _SHAPELESS_SQUARE_RATIO * histogram.total**2 / histogram.count if histogram.count > 0.0 else 0.0
        return LengthSums(histogram.count, histogram.total, squares)
    edges = (0.0, *histogram.edges)
    counts = [high - low for low, high in pairwise((0.0, *histogram.cumulative, histogram.count))]
    inner = list(zip(counts[:-1], pairwise(edges), strict=True))
    tokens = sum(count * (low + high) / 2.0 for count, (low, high) in inner)
    squares = sum(count * (low * low + low * high + high * high) / 3.0 for count, (low, high) in inner)
    if counts[-1] > 0.0:
        length = max(edges[-1], (histogram.total - tokens) / counts[-1])
        tokens, squares = tokens + counts[-1] * length, squares + counts[-1] * length * length
    stretch_ratio = histogram.total / tokens if tokens > 0.0 else 0.0
    least = histogram.total**2 / histogram.count  # all alike
    return LengthSums(
        histogram.count, histogram.total, max(least, squares * stretch_ratio**2), histogram.edges, tuple(counts)
    )


def merge_length_sums(one: LengthSums, other: LengthSums) -> LengthSums:
    """Return the sums over the requests of both; edges may differ, see `merge_histograms`."""
    merged = merge_histograms(_to_histogram(one), _to_histogram(other))
    counts = (
        tuple(high - low for low, high in pairwise((0.0, *merged.cumulative, merged.count))) if merged.edges else ()
    )
    return LengthSums(
        one.requests + other.requests,
        one.tokens + other.tokens,
        one.squares_tokens2 + other.squares_tokens2,
        merged.edges,
        counts,
    )


def estimate_lengths(sums: LengthSums) -> LengthDistribution | None:
    """Return the distribution of token lengths that `sums` tell of, None when they saw no request."""
    if sums.requests <= 0.0:
        return None
    seen = sum(sums.counts)
    edges, ratios = ((), ()) if seen <= 0.0 else (sums.edges_tokens, _accumulate_ratios(sums.counts, seen))
    return LengthDistribution(sums.tokens / sums.requests, sums.squares_tokens2 / sums.requests, edges, ratios)


def _accumulate_ratios(counts: tuple[float, ...], seen: float) -> tuple[float, ...]:
    ratios, below = [], 0.0
    for count in counts[:-1]:
        below += count
        ratios.append(min(below / seen, 1.0))
    return tuple(ratios)


def _to_histogram(sums: LengthSums) -> HistogramReading:
    cumulative, below = [], 0.0
    for count in sums.counts[:-1]:
        below += count
        cumulative.append(below)
    return HistogramReading(sums.edges_tokens, tuple(cumulative), sums.requests, sums.tokens)
