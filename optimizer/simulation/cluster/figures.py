"""Figures of a run that are computed from what it left behind: quantiles, attainment over time, restlessness, shortage.

B bins of equal length, the last one cut off by the horizon. Nothing is simulated here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from optimizer.domain import LatencyQuantity, Role, VariantKey
from optimizer.errors import InvalidInput
from optimizer.simulation.cluster.result import RequestColumns, SimulationResult, StepSeries
from optimizer.simulation.ticks import to_ns, to_s

_COLUMNS: Mapping[LatencyQuantity, str] = {
    LatencyQuantity.TTFT: "ttft_s",
    LatencyQuantity.ITL: "itl_s",
    LatencyQuantity.TTLT: "ttlt_s",
}


@dataclass(frozen=True, slots=True)
class UnderCapacity:
    """How long ready capacity was below the demand, and why.

    Attributes
    ----------
    demand_s
        Because demand rose faster than replicas could follow [s].
    own_action_s
        Because capacity that would have been enough had been given up shortly before [s].
    """

    demand_s: float
    own_action_s: float


def compute_quantile_s(result: SimulationResult, quantity: LatencyQuantity, ratio: float) -> float:
    """Return the `ratio` quantile (0-1] of `quantity` over all requests [s]: the least time that so many kept.

    Requests that did not finish took for ever. 0 without requests; a bucket's upper edge, at most 10 % above, where the
    latencies of requests were not kept.

    Raises
    ------
    InvalidInput
        When `ratio` is not in (0, 1].
    """
    if not 0.0 < ratio <= 1.0:
        raise InvalidInput("ratio", "0-1, without 0", ratio)
    rank = math.ceil(ratio * result.requests)
    if rank == 0:
        return 0.0
    latencies_s = getattr(result.columns, _COLUMNS[quantity])
    if len(latencies_s):
        return float(np.partition(np.asarray(latencies_s), rank - 1)[rank - 1])
    return result.histograms[quantity].find(rank)


def compute_attainment_by_time(result: SimulationResult, bin_s: float = 3600.0) -> NDArray[np.float64]:
    """Return the share of the requests that arrived in each bin and kept every promise, 1 where none did; (B,) [0-1].

    Raises
    ------
    InvalidInput
        When the latencies of requests were not kept.
    """
    columns, requests = result.columns, result.scenario.requests
    if len(columns.ttft_s) != len(requests):
        raise InvalidInput("columns", "kept of every request", "none")
    bins = requests.arrival_ns // to_ns(bin_s)
    count = math.ceil(result.scenario.horizon_s / bin_s)
    bins = np.minimum(bins, count - 1)
    arrived = np.bincount(bins, minlength=count)
    kept = np.bincount(bins[_find_kept(result, columns)], minlength=count)
    return np.where(arrived > 0, kept / np.maximum(arrived, 1), 1.0)


def find_recovery_s(
    result: SimulationResult, after_s: float, *, bin_s: float = 30.0, target_ratio: float = 0.99, bins: int = 5
) -> float:
    """Return how long after `after_s` requests kept missing: until the first of `bins` bins in a row at the target [s].

    0 where none was missed, infinite where it never recovers.

    Raises
    ------
    InvalidInput
        When the latencies of requests were not kept.
    """
    attained = compute_attainment_by_time(result, bin_s) >= target_ratio
    first = math.floor(after_s / bin_s)
    for index in range(first, len(attained) - bins + 1):
        if bool(attained[index : index + bins].all()):
            return max(index * bin_s - after_s, 0.0)
    return math.inf


def compute_goodput_per_cost(result: SimulationResult) -> float:
    """Return the requests that kept every promise by what they cost [1/currency], infinite where nothing was billed."""
    kept = sum(figures.met_all for figures in result.classes)
    return kept / result.cost if result.cost > 0.0 else math.inf


def count_changes(result: SimulationResult) -> int:
    """Return how often the requested replicas of any variant changed."""
    return sum(max(len(one.replicas.requested.value) - 1, 0) for one in result.variants.values())


def count_reversals(result: SimulationResult, within_s: float = 600.0) -> int:
    """Return how often a change of requested replicas was followed by one the other way within `within_s` [s]."""
    return sum(_count_reversals(one.replicas.requested, to_ns(within_s)) for one in result.variants.values())


def find_under_capacity(
    result: SimulationResult,
    capacities_per_s: Mapping[VariantKey, float],
    *,
    bin_s: float = 60.0,
    lookback_s: float = 600.0,
) -> UnderCapacity:
    """Return for how long the mean demand of a bin exceeded the capacity that was ready on average in it.

    It is one's own action where the capacity of some bin within `lookback_s` before would have been enough: it was
    given up. All LLMs are taken together, so scenarios of one LLM are meant.

    Parameters
    ----------
    result
        The run.
    capacities_per_s
        What one replica of each variant carries within the promises [1/s].
    bin_s
        Length of a bin [s].
    lookback_s
        How far back giving up counts [s].
    """
    horizon_ns, bin_ns = to_ns(result.scenario.horizon_s), min(to_ns(bin_s), to_ns(result.scenario.horizon_s))
    lengths_ns = [min(bin_ns, horizon_ns - start_ns) for start_ns in range(0, horizon_ns, bin_ns)]
    bins = np.minimum(result.scenario.requests.arrival_ns // bin_ns, len(lengths_ns) - 1)
    arrived = np.bincount(bins, minlength=len(lengths_ns)).tolist()
    capacities = _list_capacities(result, capacities_per_s, lengths_ns)
    back = math.ceil(lookback_s / bin_s)
    demand_s = own_action_s = 0.0
    for index, (length_ns, capacity_per_s) in enumerate(zip(lengths_ns, capacities, strict=True)):
        needed_per_s = arrived[index] / to_s(length_ns)
        if needed_per_s <= capacity_per_s:
            continue
        if max(capacities[max(index - back, 0) : index], default=0.0) >= needed_per_s:
            own_action_s += to_s(length_ns)
        else:
            demand_s += to_s(length_ns)
    return UnderCapacity(demand_s, own_action_s)


def _find_kept(result: SimulationResult, columns: RequestColumns) -> NDArray[np.bool_]:
    """Return which requests kept every promise of their class."""
    requests = result.scenario.requests
    kept: NDArray[np.bool_] = np.isfinite(np.asarray(columns.ttlt_s))
    for model_index, model in enumerate(result.scenario.models):
        for class_index, one in enumerate(model.service_classes):
            of_class = (requests.model == model_index) & (requests.service_class == class_index)
            for slo in one.slos:
                kept &= ~of_class | (np.asarray(getattr(columns, _COLUMNS[slo.quantity])) <= slo.target_s)
    return kept


def _count_reversals(series: StepSeries, within_ns: int) -> int:
    steps = [
        (time_ns, after - before)
        for time_ns, (before, after) in zip(series.time_ns[1:], pairwise(series.value), strict=True)
    ]
    return sum(
        (first > 0) != (second > 0) and second_ns - first_ns <= within_ns
        for (first_ns, first), (second_ns, second) in pairwise(steps)
    )


def _list_capacities(
    result: SimulationResult, capacities_per_s: Mapping[VariantKey, float], lengths_ns: list[int]
) -> list[float]:
    """Return the mean capacity that was ready in each bin; all bins but the last are as long as the first [1/s].

    Where prefill and decode are apart the scarcer of the two counts.
    """
    totals, end_ns = {role: [0.0] * len(lengths_ns) for role in Role}, to_ns(result.scenario.horizon_s)
    for key, figures in result.variants.items():
        ready = figures.replicas.ready.integrate_bins(lengths_ns[0], end_ns)
        carried = zip(totals[key.role], ready, strict=True)
        totals[key.role] = [total + capacities_per_s.get(key, 0.0) * one for total, one in carried]
    parts = zip(totals[Role.BOTH], totals[Role.PREFILL], totals[Role.DECODE], lengths_ns, strict=True)
    return [(whole + min(prefill, decode)) / length_ns for whole, prefill, decode, length_ns in parts]
