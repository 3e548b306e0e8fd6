"""The figures of a run: one number each, for a table. It simulates nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from adapter.simulation.narrowing import narrow
from adapter.simulation.policies import estimate_capacities_per_s
from adapter.simulation.running import Outcome
from optimizer.domain import LatencyQuantity, ModelKey, Workload
from optimizer.simulation.bounds import Ladder
from optimizer.simulation.cluster import (
    Ending,
    SimulationResult,
    UnderCapacity,
    compute_goodput_per_cost,
    compute_quantile_s,
    count_changes,
    count_reversals,
    find_recovery_s,
    find_under_capacity,
)

NS_PER_S = 1_000_000_000
BIN_S = 60.0
"""Replicas are counted, and capacity is compared with demand, over stretches of this [s]."""
RECOVERY_S = 150.0
"""It has recovered from a jump of demand once requests of so long kept their promises [s]."""


@dataclass(frozen=True, slots=True)
class ClassLine:
    """One service class of one LLM in numbers; see `Figures`."""

    model: str
    service_class: str
    requests: int
    attainment_ratio: float
    kept_ratio: Mapping[LatencyQuantity, float | None]
    p50_s: Mapping[LatencyQuantity, float]
    p99_s: Mapping[LatencyQuantity, float]


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
    goodput_per_cost
        Requests that kept every promise by what all of it cost [1/currency]; infinite where nothing was billed.
    recovery_s
        From a jump of demand until promises were kept again, the longest of all jumps [s]; infinite where they never
        were, None without a jump that is known.
    classes
        Every service class of every LLM.
    bound
        Nobody who attains as much is cheaper [currency]; None where it was not asked for.
    measured_bound
        The same if no replica sustains more than was measured on its engine [currency]; None as above.
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
    goodput_per_cost: float
    recovery_s: float | None
    classes: tuple[ClassLine, ...]
    bound: float | None
    measured_bound: float | None


def compute_figures(
    outcome: Outcome, workloads: Mapping[ModelKey, Workload], jumps_s: tuple[float, ...] = ()
) -> Figures:
    """Return the figures of `outcome`, all LLMs together.

    Parameters
    ----------
    outcome
        The run.
    workloads
        Token lengths that capacities are estimated for.
    jumps_s
        When demand jumped [s].
    """
    ladder = None if outcome.ladder is None else outcome.ladder.total
    return _compute(outcome.policy, outcome.result, workloads, jumps_s, ladder)


def compute_model_figures(
    outcome: Outcome, workloads: Mapping[ModelKey, Workload], jumps_s: tuple[float, ...] = ()
) -> dict[ModelKey, Figures]:
    """Return the figures of every LLM by itself, in the order of the scenario; see `compute_figures`."""
    ladders = {} if outcome.ladder is None else {one.model: one.ladder for one in outcome.ladder.models}
    return {
        model.key: _compute(outcome.policy, narrow(outcome.result, index), workloads, jumps_s, ladders.get(model.key))
        for index, model in enumerate(outcome.result.scenario.models)
    }


def _compute(
    policy: str,
    result: SimulationResult,
    workloads: Mapping[ModelKey, Workload],
    jumps_s: tuple[float, ...],
    ladder: Ladder | None,
) -> Figures:
    horizon_s = result.scenario.horizon_s
    under = compute_under_capacity(result, workloads)
    counts = count_replicas(result)
    measured = None if ladder is None else ladder.measured
    return Figures(
        policy=policy,
        requests=result.requests,
        cost=result.cost,
        attainment_ratio=result.attainment_ratio,
        kept_ratio={quantity: _compute_kept_ratio(result, quantity) for quantity in LatencyQuantity},
        p50_s=_compute_quantiles_s(result, 0.5),
        p99_s=_compute_quantiles_s(result, 0.99),
        mean_replicas=sum(value * (end - start) for start, end, value in counts) / (horizon_s * NS_PER_S),
        max_replicas=max((value for _, _, value in counts), default=0),
        changes_per_h=count_changes(result) * 3600.0 / horizon_s,
        reversals=count_reversals(result),
        under_demand_s=under.demand_s,
        under_own_action_s=under.own_action_s,
        failed=result.requests - result.endings.get(Ending.FINISHED, 0),
        goodput_per_cost=compute_goodput_per_cost(result),
        recovery_s=compute_recovery_s(result, jumps_s),
        classes=tuple(
            _to_line(result, index, place)
            for index, model in enumerate(result.scenario.models)
            for place in range(len(model.service_classes))
        ),
        bound=None if ladder is None else ladder.bound,
        measured_bound=None if measured is None else measured.cost,
    )


def compute_recovery_s(result: SimulationResult, jumps_s: tuple[float, ...]) -> float | None:
    """Return how long the slowest recovery from a jump took [s]; jumps too close to the end do not count."""
    last_s = result.scenario.horizon_s - RECOVERY_S
    times_s = [find_recovery_s(result, jump_s) for jump_s in jumps_s if jump_s <= last_s]
    return max(times_s, default=None)


def compute_under_capacity(result: SimulationResult, workloads: Mapping[ModelKey, Workload]) -> UnderCapacity:
    """Return for how long ready capacity was below demand, each LLM by itself, added up [s].

    Capacity is what replicas carry within the SLO by what scalers are told of them, for the mean request.
    """
    capacities = estimate_capacities_per_s(result.scenario.models, workloads)
    demand_s = own_action_s = 0.0
    for index in range(len(result.scenario.models)):
        one = find_under_capacity(narrow(result, index), capacities, bin_s=BIN_S)
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


def _compute_quantiles_s(result: SimulationResult, ratio: float) -> dict[LatencyQuantity, float]:
    return {quantity: compute_quantile_s(result, quantity, ratio) for quantity in LatencyQuantity}


def _to_line(result: SimulationResult, model: int, service_class: int) -> ClassLine:
    served = result.scenario.models[model]
    mine = narrow(result, model, service_class)
    return ClassLine(
        model=f"{served.namespace}/{served.model_id}",
        service_class=served.service_classes[service_class].name,
        requests=mine.requests,
        attainment_ratio=mine.attainment_ratio,
        kept_ratio={quantity: _compute_kept_ratio(mine, quantity) for quantity in LatencyQuantity},
        p50_s=_compute_quantiles_s(mine, 0.5),
        p99_s=_compute_quantiles_s(mine, 0.99),
    )
