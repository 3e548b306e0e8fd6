"""AIBrix: groups of alike requests, by DBSCAN in the plane of the logarithms of their lengths. No rate, no time.

A point with at least `LEAST_REQUESTS` requests within `RADIUS` (itself among them) is a core; cores within the radius
of one another are one cluster, points within the radius of a core belong to its cluster (the first one's), the rest is
noise. Requests of equal lengths are one point with a weight.

Source: AIBrix e3e10f9e (head, 2026-08-22), workload clustering; M. Ester et al., "A density-based algorithm for
discovering clusters in large spatial databases with noise", KDD 1996.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

RADIUS = 0.5
LEAST_REQUESTS = 10.0
_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class RequestCluster:
    """Requests alike: their count, and the mean of the logarithms (base 2) of their lengths in tokens."""

    requests: float
    log2_input_tokens: float
    log2_output_tokens: float


def cluster_requests(points: Mapping[tuple[float, float], float]) -> tuple[RequestCluster, ...]:
    """Return the clusters of `points`: requests by (log2 input, log2 output); noise is in none of them."""
    if not points:
        return ()
    order = sorted(points)
    places = np.array(order)
    weights = np.array([points[place] for place in order])
    distances2 = ((places[:, None, :] - places[None, :, :]) ** 2).sum(axis=2)
    is_near = distances2 <= RADIUS * RADIUS + _TOLERANCE
    is_core = np.where(is_near, weights, 0.0).sum(axis=1) >= LEAST_REQUESTS - _TOLERANCE
    labels = _label(is_near, is_core)
    return tuple(_sum_up(places[labels == label], weights[labels == label]) for label in range(int(labels.max()) + 1))


def _label(is_near: np.ndarray, is_core: np.ndarray) -> np.ndarray:
    """Return the number of the cluster of every point, -1 for noise."""
    labels = np.full(len(is_core), -1)
    label = 0
    for start in np.flatnonzero(is_core).tolist():
        if labels[start] >= 0:
            continue
        labels[start] = label
        waiting = [start]
        while waiting:
            for index in np.flatnonzero(is_near[waiting.pop()] & (labels < 0)).tolist():
                labels[index] = label
                if is_core[index]:
                    waiting.append(index)
        label += 1
    return labels


def _sum_up(places: np.ndarray, weights: np.ndarray) -> RequestCluster:
    total = math.fsum(weights)
    inputs, outputs = (math.fsum(column) / total for column in (places * weights[:, None]).T)
    return RequestCluster(total, inputs, outputs)
