"""Dynamo planner, generation 2: linear laws by least squares on measured iterations, kept evenly over what was seen.

At most 64 samples in 16 cells of equal width (16 of one variable, 4 x 4 of two); when they are full the oldest of the
fullest cell goes. Five are needed; a negative slope rejects the fit, but that per request is raised to 0.

Source: NVIDIA Dynamo, regression models at 4d3f6720885f, 439d645817d6 and 518a70279da9.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from optimizer.policy.dynamo.capacity_models import AggregatedLaw, DecodeLaw, PrefillLaw

MOST_SAMPLES, CELLS, LEAST_SAMPLES = 64, 16, 5


@dataclass(frozen=True, slots=True)
class IterationSample:
    """One iteration: the quantities its time depends on, such as tokens, and the time [s]."""

    quantities: tuple[float, ...]
    time_s: float


@dataclass(frozen=True, slots=True)
class SampleStore:
    """Samples of one or two quantities, oldest first; how many are kept, in how many cells, and needed for a fit."""

    samples: tuple[IterationSample, ...] = ()
    most_samples: int = MOST_SAMPLES
    cells: int = CELLS
    least_samples: int = LEAST_SAMPLES

    def add(self, sample: IterationSample) -> SampleStore:
        """Return the store with `sample`, without the oldest of the fullest cell if it is full."""
        samples = [*self.samples, sample]
        if len(samples) > self.most_samples:
            places = _locate(samples, self.cells)
            fullest, _ = Counter(places).most_common(1)[0]
            samples.pop(places.index(fullest))
        return replace(self, samples=tuple(samples))


def _locate(samples: Sequence[IterationSample], cells: int) -> list[tuple[int, ...]]:
    """Return the cell of every sample; all quantities are cut alike between their least and their largest value."""
    dimensions = len(samples[0].quantities)
    per_side = cells if dimensions == 1 else math.isqrt(cells)
    columns = []
    for index in range(dimensions):
        values = [sample.quantities[index] for sample in samples]
        least, width = min(values), (max(values) - min(values)) / per_side
        cut = [0 if width <= 0.0 else min(int((value - least) / width), per_side - 1) for value in values]
        columns.append(cut)
    return list(zip(*columns, strict=True))


def fit_prefill(store: SampleStore) -> PrefillLaw | None:
    """Return the law of iterations that compute tokens (one quantity), None when it cannot be had."""
    found = _fit(store)
    return None if found is None or found[0] < 0.0 else PrefillLaw(found[0], found[1])


def fit_decode(store: SampleStore) -> DecodeLaw | None:
    """Return the law of iterations of requests and KV tokens (two quantities), None when it cannot be had."""
    found = _fit(store)
    return None if found is None or found[1] < 0.0 else DecodeLaw(max(found[0], 0.0), found[1], found[2])


def fit_aggregated(store: SampleStore) -> AggregatedLaw | None:
    """Return the law of iterations of prefill and KV tokens (two quantities), None when it cannot be had."""
    found = _fit(store)
    return None if found is None or min(found[:2]) < 0.0 else AggregatedLaw(found[0], found[1], found[2])


def _fit(store: SampleStore) -> list[float] | None:
    """Return slopes and intercept of the least squares over all samples, by the normal equations of centered values."""
    samples = store.samples
    if len(samples) < store.least_samples:
        return None
    means = [math.fsum(column) / len(samples) for column in zip(*(entry.quantities for entry in samples), strict=True)]
    mean_s = math.fsum(entry.time_s for entry in samples) / len(samples)
    rows = [[value - mean for value, mean in zip(entry.quantities, means, strict=True)] for entry in samples]
    times_s = [entry.time_s - mean_s for entry in samples]
    size = len(means)
    squares = [[math.fsum(row[i] * row[j] for row in rows) for j in range(size)] for i in range(size)]
    products = [math.fsum(row[i] * time_s for row, time_s in zip(rows, times_s, strict=True)) for i in range(size)]
    slopes = _solve(squares, products)
    return [*slopes, mean_s - math.fsum(slope * mean for slope, mean in zip(slopes, means, strict=True))]


def _solve(squares: list[list[float]], products: list[float]) -> list[float]:
    """Return the slopes; the least ones where the quantities do not vary, or vary together."""
    if len(products) == 1:
        return [products[0] / squares[0][0] if squares[0][0] > 0.0 else 0.0]
    determinant = squares[0][0] * squares[1][1] - squares[0][1] * squares[1][0]
    if determinant > 1e-12 * squares[0][0] * squares[1][1]:
        return [
            (products[0] * squares[1][1] - products[1] * squares[0][1]) / determinant,
            (products[1] * squares[0][0] - products[0] * squares[1][0]) / determinant,
        ]
    total = squares[0][0] + squares[1][1]  # the only eigenvalue: the pseudo-inverse is the matrix over its square
    if total <= 0.0:
        return [0.0, 0.0]
    return [math.fsum(entry * value for entry, value in zip(row, products, strict=True)) / total**2 for row in squares]
