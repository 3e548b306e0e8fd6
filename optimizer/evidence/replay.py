"""Replay: the demand that really arrived, put before `decide` again, on a fluid fleet. It knows no clock and no server.

Every period the windows of the demand since the last pass are handed to the same `decide` that runs in production, with
its forecast, margins, calm window and order of steps; whoever acts on the numbers looks every `sync_s`. Two replays
differ in nothing but the settings they are given, so that their bills may be compared; a replay and a real bill may
not, since a fluid fleet has no queues, no failures and no noise of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from optimizer.decide import decide
from optimizer.domain import (
    FleetSnapshot,
    ModelKey,
    ModelSnapshot,
    PodKey,
    Routing,
    ServedModel,
    Settings,
    Variant,
    VariantKey,
)
from optimizer.evidence.fluid_fleet import FluidPool
from optimizer.evidence.hindsight import compute_homogeneous_costs
from optimizer.evidence.record import DemandRecord, DemandStep, RateCurve, check_record, compute_capacity_per_s
from optimizer.evidence.windows import draw_window
from optimizer.stabilization import compute_capacity_per_s as add_up_capacity_per_s
from optimizer.state import State


@dataclass(frozen=True, slots=True)
class Bill:
    """What serving one LLM cost, and how much of its demand found capacity.

    Attributes
    ----------
    cost
        From creation to deletion of every replica [currency].
    attainment_ratio
        Share of the requests that arrived while ready capacity within the SLO was there for them [0-1]; 1 without any.
    """

    cost: float
    attainment_ratio: float


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How the fleet of a replay behaves.

    Attributes
    ----------
    sync_s
        Time between two looks of whoever acts on the numbers [s].
    sync_phase_s
        Time from a decision to the first look after it [s].
    initial_replicas
        Replicas that serve at the start; an LLM without any entry begins with enough of the variant that alone would
        serve the record for the least.
    grain_s
        Time over which the rate is averaged before it is compared with capacity [s]. A capacity within the SLO is a
        mean rate of Poisson arrivals: to compare it with the count of a few seconds would charge their noise twice.
    """

    sync_s: float = 15.0
    sync_phase_s: float = 5.0
    initial_replicas: Mapping[VariantKey, int] | None = None
    grain_s: float = 60.0


def replay(record: DemandRecord, settings: Settings, options: ReplayOptions | None = None) -> dict[ModelKey, Bill]:
    """Return the bill of every LLM of `record` under `settings`.

    Raises
    ------
    InvalidInput
        If `record` is not a sequence of steps, see `check_record`.
    """
    check_record(record)
    fleet = _Fleet(record, settings, options or ReplayOptions())
    starts_s = [steps[0].start_s for steps in record.values() if steps]
    ends_s = [steps[-1].end_s for steps in record.values() if steps]
    if not starts_s:
        return {}
    start_s, end_s, period_s = min(starts_s), max(ends_s), settings.decision.period_s
    state, now_s = State(), start_s
    while now_s < end_s:
        now_s += period_s
        fleet.run(now_s - period_s, min(now_s, end_s))
        if now_s > end_s:
            break  # the record ends within this period: what it would show is half a window
        outcome = decide(state, fleet.show(now_s - period_s, now_s), now_s, settings)
        state = outcome.state
        fleet.published = {
            entry.key: entry.planned_replicas for decision in outcome.decisions for entry in decision.variants
        }
    return fleet.bill()


class _Fleet:
    """The fluid fleet of all LLMs of a record."""

    def __init__(self, record: DemandRecord, settings: Settings, options: ReplayOptions) -> None:
        self._models = [model for model in settings.models if record.get(model.key)]
        self._record, self._options = record, options
        self._rates = {model.key: RateCurve(record[model.key]) for model in self._models}
        self._pools = {
            variant.key(): FluidPool(variant.key(), variant, settings.get_replica_cost_per_hour(variant))
            for model in self._models
            for variant in model.variants
        }
        self._offered = {model.key: 0.0 for model in self._models}
        self._served = {model.key: 0.0 for model in self._models}
        self.published: dict[VariantKey, int] = {}
        starts_s = [steps[0].start_s for steps in record.values() if steps]
        self._next_sync_s = min(starts_s, default=0.0) + options.sync_phase_s
        for model in self._models:
            self._begin(model, settings)

    def _begin(self, model: ServedModel, settings: Settings) -> None:
        """Start `model` with the replicas given, else with enough of its cheapest variant for the beginning."""
        steps = self._record[model.key]
        given = self._options.initial_replicas or {}
        wanted = {variant.key(): given[variant.key()] for variant in model.variants if variant.key() in given}
        if not wanted:
            wanted = _find_first_replicas(model, steps, self._options.grain_s, settings)
        for key, replicas in wanted.items():
            self._pools[key].request(replicas, steps[0].start_s, is_warm=True)

    def run(self, start_s: float, end_s: float) -> None:
        """Let time pass from `start_s` to `end_s` [s]: syncs happen, replicas become ready, demand is served."""
        time_s = start_s
        while time_s < end_s:
            next_s = min(end_s, self._next_sync_s) if self._next_sync_s > time_s else end_s
            if self._next_sync_s <= time_s:
                for key, replicas in self.published.items():
                    self._pools[key].request(replicas, time_s)
                self._next_sync_s += self._options.sync_s
                continue
            for model in self._models:
                self._serve(model, time_s, next_s)
            for pool in self._pools.values():
                pool.pay(next_s - time_s)
            time_s = next_s

    def _serve(self, model: ServedModel, start_s: float, end_s: float) -> None:
        pools = [self._pools[variant.key()] for variant in model.variants]
        steps = [step for step in self._record[model.key] if step.end_s > start_s and step.start_s < end_s]
        edges_s = {start_s, end_s, *(step.start_s for step in steps), *(step.end_s for step in steps)}
        edges_s.update(moment_s for pool in pools for moment_s in pool.list_changes_s(start_s, end_s))
        inside_s = sorted(moment_s for moment_s in edges_s if start_s <= moment_s <= end_s)
        for from_s, to_s in pairwise(inside_s):
            step = next((step for step in steps if step.start_s <= from_s < step.end_s), None)
            if step is None:
                continue
            capacities = {pool.key: compute_capacity_per_s(pool.variant, model, step.workload) for pool in pools}
            ready = {pool.key: pool.count_ready(from_s) for pool in pools}
            ready_per_s = add_up_capacity_per_s(ready, capacities, _get_routing(model))
            half_s = 0.5 * self._options.grain_s
            middle_s = 0.5 * (from_s + to_s)
            rate_per_s = self._rates[model.key].compute_mean_per_s(middle_s - half_s, middle_s + half_s)
            self._offered[model.key] += rate_per_s * (to_s - from_s)
            self._served[model.key] += min(rate_per_s, ready_per_s) * (to_s - from_s)

    def show(self, start_s: float, end_s: float) -> FleetSnapshot:
        """Return what a collector would have seen between `start_s` and `end_s` [s]."""
        return FleetSnapshot(end_s, tuple(self._show_model(model, start_s, end_s) for model in self._models))

    def _show_model(self, model: ServedModel, start_s: float, end_s: float) -> ModelSnapshot:
        pools = [self._pools[variant.key()] for variant in model.variants]
        states = tuple(pool.to_state(end_s) for pool in pools)
        gateway = draw_window(self._record[model.key], start_s, end_s, None, 1.0) if model.has_gateway else None
        weights = {
            PodKey(pool.key.namespace, replica.name): self._weigh(pool, model, end_s)
            for pool in pools
            for replica in pool.replicas
            if replica.ready_s <= end_s
        }
        total = sum(weights.values())
        windows = tuple(
            draw_window(self._record[model.key], start_s, end_s, pod, weight / total)
            for pod, weight in weights.items()
            if total > 0.0
        )
        return ModelSnapshot(model.key, states, windows, gateway)

    def _weigh(self, pool: FluidPool, model: ServedModel, time_s: float) -> float:
        """Return the share that one replica of `pool` gets of the load, up to a factor."""
        if _get_routing(model) is Routing.UNIFORM:
            return 1.0
        steps = self._record[model.key]
        step = next((step for step in reversed(steps) if step.start_s < time_s), steps[0])
        return compute_capacity_per_s(pool.variant, model, step.workload) or 1e-9

    def bill(self) -> dict[ModelKey, Bill]:
        """Return what every LLM has cost so far."""
        bills = {}
        for model in self._models:
            cost = sum(self._pools[variant.key()].cost for variant in model.variants)
            offered = self._offered[model.key]
            bills[model.key] = Bill(cost, self._served[model.key] / offered if offered > 0.0 else 1.0)
        return bills


def _get_routing(model: ServedModel) -> Routing:
    return Routing.UNIFORM if model.routing is Routing.AUTO else model.routing


def _find_most_replicas(variant: Variant, settings: Settings) -> float:
    """Return how many replicas of `variant` its bound and the known limits leave room for, if it has them alone."""
    bounds = [math.inf if variant.max_replicas is None else variant.max_replicas]
    for limit in settings.limits:
        coefficient = limit.coefficients.get(variant.key(), 0.0)
        if limit.amount is not None and coefficient > 0.0:
            bounds.append(math.floor(limit.amount / coefficient))
    return min(bounds)


def _find_first_replicas(
    model: ServedModel, steps: tuple[DemandStep, ...], grain_s: float, settings: Settings
) -> dict[VariantKey, int]:
    """Return enough replicas for the beginning, of the one variant that serves the whole record for the least."""
    costs = compute_homogeneous_costs(model, steps, settings)
    winner = min(model.variants, key=lambda variant: (costs[variant.name], variant.name))
    replicas: dict[VariantKey, int] = {variant.key(): variant.min_replicas for variant in model.variants}
    capacity_per_s = compute_capacity_per_s(winner, model, steps[0].workload)
    if capacity_per_s > 0.0:
        rate_per_s = RateCurve(steps).compute_mean_per_s(steps[0].start_s, steps[0].start_s + grain_s)
        wanted = math.ceil(rate_per_s / (capacity_per_s * settings.decision.utilization_ceiling_ratio))
        replicas[winner.key()] = int(max(min(wanted, _find_most_replicas(winner, settings)), winner.min_replicas))
    return replicas
