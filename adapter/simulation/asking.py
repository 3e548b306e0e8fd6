"""Requests of a trace, each with an LLM, a service class and its cached prefix; and what they are like on average.

All of it depends on trace, fleet and seed, never on a policy. R requests.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from adapter.simulation.fleet import Fleet
from adapter.simulation.run_options import RunOptions
from adapter.simulation.traces import Trace
from optimizer import InvalidInput
from optimizer.domain import LengthDistribution, ModelKey, ServedModel, ServiceClass, Workload
from optimizer.simulation.cluster import Requests

PEAK_S = 60.0
_SHARES, _CLASSES = 3, 4  # streams of chance


def to_requests(trace: Trace, fleet: Fleet, options: RunOptions) -> Requests:
    """Return the requests of `trace`, each asking for an LLM and belonging to one of its classes by chance.

    Raises
    ------
    InvalidInput
        When no class of an LLM has a weight.
    """
    models = fleet.settings.models
    shares = [find_class_shares(model.service_classes, options.class_shares) for model in models]
    model = _draw(len(trace), fleet.shares, options.seed, _SHARES)
    service_class = np.zeros(len(trace), dtype=np.int64)
    for index, of_classes in enumerate(shares):
        mine = model == index
        service_class[mine] = _draw(len(trace), of_classes, options.seed, _CLASSES)[mine]
    cached = np.minimum(np.floor(trace.input_tokens * options.truth.cached_ratio), trace.input_tokens - 1)
    return Requests.from_columns(
        trace.arrival_s.tolist(),
        trace.input_tokens,
        trace.output_tokens,
        cached_tokens=cached.astype(np.int64),
        service_class=service_class,
        model=model,
    )


def find_class_shares(classes: Sequence[ServiceClass], weights: Mapping[str, float] | None = None) -> tuple[float, ...]:
    """Return the share of the requests of an LLM that belongs to each of its `classes` [0-1]; they add up to 1.

    By `weights` of their names, where a class that has none gets no request. Without weights, by the shares of the
    configuration, what these leave over going equally to the classes without one, else to all in proportion.

    Raises
    ------
    InvalidInput
        When none of the classes has a weight.
    """
    if weights is not None:
        found = [weights.get(one.name, 0.0) for one in classes]
    else:
        told = [one.source.share_ratio for one in classes]
        left = 1.0 - math.fsum(share for share in told if share is not None)
        untold = told.count(None)
        found = [max(left, 0.0) / untold if share is None else share for share in told]
    whole = math.fsum(found)
    if not whole > 0.0:
        names = ", ".join(one.name for one in classes)
        raise InvalidInput("class shares", f"above 0 for one of {names} at least", dict(weights or {}))
    return tuple(share / whole for share in found)


def find_workloads(
    requests: Requests, models: Sequence[ServedModel], duration_s: float, *, is_peak: bool
) -> Mapping[ModelKey, Workload]:
    """Return rate and lengths of every LLM that is asked: of the highest minute within `duration_s` [s], or the mean.

    Lengths and cached shares are those of all its requests.
    """
    found = {}
    for index, model in enumerate(models):
        mine = np.flatnonzero(requests.model == index)
        if not len(mine):
            continue
        times_s = requests.arrival_ns[mine] / 1e9
        times_s = times_s[times_s < duration_s]
        bin_s = min(PEAK_S, duration_s) if is_peak else duration_s
        counts = np.bincount((times_s // bin_s).astype(np.int64), minlength=1)
        inputs = requests.input_tokens[mine]
        cached_ratio = int(requests.cached_tokens[mine].sum()) / int(inputs.sum())
        lengths = to_lengths(inputs), to_lengths(requests.output_tokens[mine])
        found[model.key] = Workload(float(counts.max()) / bin_s, *lengths, cached_ratio)
    return found


def to_lengths(tokens: NDArray[np.int64]) -> LengthDistribution:
    """Return the first two moments of lengths, one at least [tokens]."""
    total, count = int(tokens.sum()), len(tokens)
    squares = math.fsum((tokens.astype(np.float64) ** 2).tolist())
    return LengthDistribution(total / count, squares / count)


def _draw(count: int, shares: Sequence[float], seed: int, stream: int) -> NDArray[np.int64]:
    """Return `count` places of `shares` by chance."""
    if len(shares) < 2:
        return np.zeros(count, dtype=np.int64)
    draws = np.random.default_rng([seed, stream]).random(count)
    ends = np.cumsum(shares)
    last = max(place for place, share in enumerate(shares) if share > 0.0)
    return np.minimum(np.searchsorted(ends, draws, side="right"), last).astype(np.int64)
