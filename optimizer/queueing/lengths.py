"""Token lengths as a small grid of points with weights, so that shares of requests become sums. It knows no rates.

Strata of equal meaning for every mix: fine where percentiles are asked for (the longest 0.1 %) and where short outputs
feel interference most (the shortest 5 %). Each stratum is stood for by its mean, so the grid keeps the exact mean.

Source: derived. Without a histogram the lengths are taken as lognormal with the given moments.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from optimizer.domain import LengthDistribution
from optimizer.errors import InvalidInput

FloatArray: TypeAlias = npt.NDArray[np.float64]

_CUTS = np.array(
    [0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.94, 0.97, 0.985, 0.995, 0.999, 1.0]
)
_WEIGHTS = np.diff(_CUTS)
_FINE = 8  # quantiles per stratum of a histogram


@dataclass(frozen=True, slots=True, eq=False)
class LengthGrid:
    """Lengths of Q strata [tokens] with their shares of the requests, and the first two moments."""

    points_tokens: FloatArray
    weights: FloatArray
    mean_tokens: float
    mean_square_tokens2: float


def make_length_grid(lengths: LengthDistribution, at_least_tokens: float) -> LengthGrid:
    """Return the grid of `lengths`, no point below `at_least_tokens` [tokens].

    Raises
    ------
    InvalidInput
        When the mean is not positive and finite.
    """
    mean = lengths.mean_tokens
    if not 0.0 < mean < math.inf:
        raise InvalidInput("lengths.mean_tokens", "> 0 and finite [tokens]", mean)
    square = max(lengths.mean_square_tokens2, mean * mean)
    points = _cut_histogram(lengths) if lengths.edges_tokens else _cut_lognormal(mean, square)
    points = np.maximum(points * (mean / float(_WEIGHTS @ points)), at_least_tokens)
    return LengthGrid(points, _WEIGHTS, max(mean, at_least_tokens), square)


def _cut_lognormal(mean_tokens: float, mean_square_tokens2: float) -> FloatArray:
    """Return the mean of each stratum of the lognormal distribution with these moments [tokens]."""
    sigma = math.sqrt(math.log(mean_square_tokens2 / (mean_tokens * mean_tokens)))
    share_of_sum = np.diff(ndtr(ndtri(_CUTS) - sigma))
    return np.asarray(mean_tokens * share_of_sum / _WEIGHTS)


def _cut_histogram(lengths: LengthDistribution) -> FloatArray:
    """Return the mean of each stratum of the histogram [tokens], lengths spread evenly in log within a bucket."""
    edges = np.asarray(lengths.edges_tokens, dtype=np.float64)
    shares = np.maximum.accumulate(np.clip(np.asarray(lengths.cumulative_ratio, dtype=np.float64), 0.0, 1.0))
    edges = np.concatenate(([max(0.5, edges[0] / 4.0)], edges, [edges[-1] * 2.0]))
    shares = np.concatenate(([0.0], shares, [1.0]))
    within = (np.arange(_FINE) + 0.5) / _FINE
    levels = _CUTS[:-1, None] + _WEIGHTS[:, None] * within
    return np.asarray(np.exp(np.interp(levels, shares, np.log(edges))).mean(axis=1))
