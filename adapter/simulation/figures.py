"""The figures of a run: one number each, for a table. It simulates nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from adapter.simulation.policies import estimate_capacities_per_s
from adapter.simulation.running import Outcome
from optimizer.domain import LatencyQuantity, ModelKey, Workload
from optimizer.simulation.cluster import (
    Ending,
    Requests,
    SimulationResult,
    UnderCapacity,
    compute_quantile_s,
    count_changes,
    count_reversals,
    find_under_capacity,
)

NS_PER_S = 1_000_000_000
BIN_S = 60.0
"""Replicas are counted, and capacity is compared with demand, over stretches of this [s]."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One run in numbers.

    Attributes
    ----------
    policy
        Who scaled.
    requests
        All of them.
    cost
        Of all replicas, from creation to deletion [currency].
    attainment_ratio
        Share of the requests that kept every promise [0-1].
    kept_ratio
        Share that kept one promise, by quantity; None without such a promise [0-1].
    p50_s, p99_s
        Quantiles over all requests, by quantity; infinite where so many did not finish [s].
    mean_replicas, max_replicas
        That had devices, or waited for them.
    changes_per_h, reversals
        Changes of requested replicas per hour, and those undone within 10 min.
    under_demand_s, under_own_action_s
        Ready capacity below demand, as demand rose and as it was given up; of several LLMs, the sum [s].
    failed
        Requests that did not finish, whatever the reason.
    bound
        Nobody who attains as much is cheaper [currency]; None where it was not asked for.
    """

    policy: str
    requests: int
    cost: float
    attainment_ratio: float
    kept_ratio: Mapping[LatencyQuantity, float | None]
    p50_s: Mapping[LatencyQuantity, float]
    p99_s: Mapping[LatencyQuantity, float]
    mean_replicas: float
    max_replicas: int
    changes_per_h: float
    reversals: int
    under_demand_s: float
    under_own_action_s: float
    failed: int
    bound: float | None


def compute_figures(outcome: Outcome, workloads: Mapping[ModelKey, Workload]) -> Figures:
    """Return the figures of `outcome`; `workloads` have the token lengths that capacities are estimated for."""
    result = outcome.result
    horizon_s = result.scenario.horizon_s
    under = compute_under_capacity(result, workloads)
    counts = count_replicas(result)
    return Figures(
        policy=outcome.policy,
        requests=result.requests,
        cost=result.cost,
        attainment_ratio=result.attainment_ratio,
        kept_ratio={quantity: _compute_kept_ratio(result, quantity) for quantity in LatencyQuantity},
        p50_s={quantity: compute_quantile_s(result, quantity, 0.5) for quantity in LatencyQuantity},
        p99_s={quantity: compute_quantile_s(result, quantity, 0.99) for quantity in LatencyQuantity},
        mean_replicas=sum(value * (end - start) for start, end, value in counts) / (horizon_s * NS_PER_S),
        max_replicas=max((value for _, _, value in counts), default=0),
        changes_per_h=count_changes(result) * 3600.0 / horizon_s,
        reversals=count_reversals(result),
        under_demand_s=under.demand_s,
        under_own_action_s=under.own_action_s,
        failed=result.requests - result.endings.get(Ending.FINISHED, 0),
        bound=None if outcome.ladder is None else outcome.ladder.total.bound,
    )


def compute_under_capacity(result: SimulationResult, workloads: Mapping[ModelKey, Workload]) -> UnderCapacity:
    """Return for how long ready capacity was below demand, each LLM by itself, added up [s].

    Capacity is what replicas carry within the SLO by what scalers are told of them, for the mean request.
    """
    capacities = estimate_capacities_per_s(result.scenario.models, workloads)
    demand_s = own_action_s = 0.0
    for index in range(len(result.scenario.models)):
        one = find_under_capacity(_narrow(result, index), capacities, bin_s=BIN_S)
        demand_s += one.demand_s
        own_action_s += one.own_action_s
    return UnderCapacity(demand_s, own_action_s)


def count_replicas(result: SimulationResult) -> list[tuple[int, int, int]]:
    """Return (start [ns], end [ns], replicas that are not deleted) of every stretch until the horizon, all variants."""
    end_ns = round(result.scenario.horizon_s * NS_PER_S)
    changes: dict[int, int] = {0: 0}
    for one in result.variants.values():
        lives = one.replicas
        for series in (lives.pending, lives.starting, lives.ready, lives.draining):
            before = 0
            for start_ns, _, value in series.iterate(end_ns):
                changes[start_ns] = changes.get(start_ns, 0) + value - before
                before = value
    times = sorted(changes)
    found, count = [], 0
    for start, end in zip(times, [*times[1:], end_ns], strict=True):
        count += changes[start]
        if end > start:
            found.append((start, end, count))
    return found


def _compute_kept_ratio(result: SimulationResult, quantity: LatencyQuantity) -> float | None:
    of_class = [figures for figures in result.classes if quantity in figures.met and figures.requests]
    requests = sum(figures.requests for figures in of_class)
    return math.fsum(figures.met[quantity] for figures in of_class) / requests if requests else None


def _narrow(result: SimulationResult, index: int) -> SimulationResult:
    """Return `result` as if LLM number `index` were the only one; its columns are not narrowed."""
    scenario = result.scenario
    if len(scenario.models) == 1:
        return result
    model, mine = scenario.models[index], scenario.requests.model == index
    whole = scenario.requests
    requests = Requests(
        whole.arrival_ns[mine],
        whole.input_tokens[mine],
        whole.output_tokens[mine],
        whole.cached_tokens[mine],
        whole.service_class[mine],
        whole.model[mine] * 0,
    )
    keys = {variant.key(variant.main_role) for variant in model.variants}
    return replace(
        result,
        scenario=replace(scenario, models=(model,), requests=requests),
        variants={key: one for key, one in result.variants.items() if key in keys},
    )
