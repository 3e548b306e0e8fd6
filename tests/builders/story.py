"""A story in time: a fluid fleet, a manual clock, whoever acts on the numbers, and the real `decide`.

Traffic is offered second by second to the replicas that serve, in proportion to their capacity or alike. Every pass
shows what a collector would have seen since the last one; a test may take pages away from it. The fleet is fluid: a
second is served as far as ready capacity within the SLO reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from optimizer import State, decide, estimate_capacity
from optimizer.domain import (
    Accelerator,
    DecisionSettings,
    DemandSource,
    DemandWindow,
    FleetSnapshot,
    IterationLaw,
    LatencyQuantity,
    Limit,
    ModelDecision,
    ModelSnapshot,
    PerformanceProfile,
    PodKey,
    Routing,
    ServedModel,
    ServiceClass,
    Settings,
    Slo,
    Variant,
    VariantKey,
    WorkloadRef,
)
from optimizer.evidence.fluid_fleet import FluidPool
from optimizer.stabilization import compute_capacity_per_s
from tests.builders.snapshots import MODEL_ID, NAMESPACE, make_gateway, make_workload
from tests.builders.snapshots import make_window as make_pod_window

CHAT = ServiceClass("chat", (Slo(LatencyQuantity.ITL, 0.05), Slo(LatencyQuantity.TTFT, 2.0)))


def make_variant(
    name: str,
    *,
    cost_per_hour: float = 1.0,
    speed: float = 1.0,
    startup_s: float = 10.0,
    minimum: int = 0,
    maximum: int | None = None,
    model_id: str = MODEL_ID,
) -> Variant:
    """Return a variant whose engine is `speed` times as fast as one that carries some 2.6 requests per second."""
    law = IterationLaw(0.0227 / speed, 0.00012 / speed, 0.12e-6 / speed, 120e-6 / speed)
    return Variant(
        NAMESPACE,
        model_id,
        name,
        WorkloadRef(NAMESPACE, f"{model_id}-{name}"),
        accelerator="A",
        startup_s=startup_s,
        min_replicas=minimum,
        max_replicas=maximum,
        cost_per_hour=cost_per_hour,
        performance=PerformanceProfile(law, kv_capacity_tokens=400_000.0, derate_ratio=1.0),
    )


def make_model(
    *variants: Variant,
    routing: Routing = Routing.WEIGHTED,
    gateway: bool = False,
    minimum: int = 0,
    policy: str = "slo",
    idle_to_zero_s: float = 300.0,
) -> ServedModel:
    return ServedModel(
        NAMESPACE,
        variants[0].model_id,
        (CHAT,),
        variants,
        routing,
        policy,
        min_replicas=minimum,
        idle_to_zero_s=idle_to_zero_s,
        has_gateway=gateway,
        expected_workload=make_workload(),
    )


def make_settings(*models: ServedModel, limits: tuple[Limit, ...] = (), **knobs: float) -> Settings:
    return Settings(models, (Accelerator("A", 1.0),), limits, replace(DecisionSettings(), **knobs))  # type: ignore[arg-type]


def get_capacity_per_s(variant: Variant) -> float:
    """Return what one replica carries of the workload of these stories [1/s]."""
    estimate = estimate_capacity(variant, make_workload(), (CHAT,), 400_000.0)
    assert estimate.capacity_per_s.value is not None
    return estimate.capacity_per_s.value


@dataclass(frozen=True)
class Pass:
    """One pass: when, what was offered on the mean since the last one, and what was decided."""

    now_s: float
    rate_per_s: float
    snapshot: FleetSnapshot
    decision: ModelDecision | None
    ready_per_s: float

    @property
    def planned(self) -> dict[str, int]:
        assert self.decision is not None
        return {entry.key.variant: entry.planned_replicas for entry in self.decision.variants}

    @property
    def ask_per_s(self) -> float:
        """Capacity of everything that is published, as the plan counts it [1/s]."""
        assert self.decision is not None
        return sum((entry.capacity_per_s.value or 0.0) * entry.planned_replicas for entry in self.decision.variants)


Hide = Callable[[float, ModelSnapshot], ModelSnapshot]


@dataclass
class Story:
    """The story of the first LLM of `settings`.

    Attributes
    ----------
    settings
        What is decided with.
    rate_at
        Requests offered [1/s] at a time [s].
    start
        Replicas that serve at the beginning.
    seed
        Of Poisson arrivals; None for arrivals without grain.
    sync_s, lag_s
        How often somebody acts on the numbers, and how old the numbers are that he acts on [s].
    hide
        Takes away from what a pass sees.
    """

    settings: Settings
    rate_at: Callable[[float], float]
    start: Mapping[str, int]
    seed: int | None = None
    sync_s: float = 15.0
    sync_phase_s: float = 5.0
    lag_s: float = 0.0
    hide: Hide = field(default=lambda now_s, snapshot: snapshot)

    def __post_init__(self) -> None:
        self.model = self.settings.models[0]
        self.state, self.now_s, self.passes = State(), 0.0, list[Pass]()
        self.offered, self.served = list[float](), list[float]()
        self.held, self._arrivals, self._got = 0.0, 0.0, dict[PodKey, float]()
        self._stream = np.random.default_rng(self.seed)
        self._capacities = {variant.key(): get_capacity_per_s(variant) for variant in self.model.variants}
        self.pools = {
            variant.key(): FluidPool(variant.key(), variant, self.settings.get_replica_cost_per_hour(variant))
            for variant in self.model.variants
        }
        for key, pool in self.pools.items():
            pool.request(self.start.get(key.variant, 0), 0.0, is_warm=True)

    def run(self, until_s: float) -> list[Pass]:
        """Play until `until_s` [s] and return the passes since the beginning."""
        period_s = self.settings.decision.period_s
        while self.now_s < until_s:
            self._live_second()
            if self.now_s % period_s == 0.0:
                self._decide()
        return self.passes

    def _live_second(self) -> None:
        self.now_s += 1.0
        if (self.now_s - self.sync_phase_s) % self.sync_s == 0.0:
            self._sync()
        rate_per_s = self.rate_at(self.now_s - 0.5)
        arrivals = rate_per_s if self.seed is None else float(self._stream.poisson(rate_per_s))
        ready_per_s = self.get_ready_per_s()
        self._arrivals += arrivals
        self._route(arrivals)
        self.offered.append(arrivals)
        self.served.append(min(arrivals, ready_per_s) if self.seed is None else arrivals * (rate_per_s <= ready_per_s))
        for pool in self.pools.values():
            pool.pay(1.0)

    def _sync(self) -> None:
        """Act on the numbers that were published `lag_s` ago."""
        known = [entry for entry in self.passes if entry.now_s <= self.now_s - self.lag_s and entry.decision]
        if known and known[-1].decision is not None:
            for line in known[-1].decision.variants:
                self.pools[line.key].request(line.planned_replicas, self.now_s)

    def _route(self, arrivals: float) -> None:
        weights = {
            PodKey(NAMESPACE, replica.name): 1.0 if self.model.routing is Routing.UNIFORM else self._capacities[key]
            for key, pool in self.pools.items()
            for replica in pool.replicas
            if replica.ready_s <= self.now_s
        }
        if not weights:
            self.held += arrivals
            return
        arrivals, self.held = arrivals + self.held, 0.0
        for pod, weight in weights.items():
            self._got[pod] = self._got.get(pod, 0.0) + arrivals * weight / sum(weights.values())

    def get_ready_per_s(self) -> float:
        """Return what the ready replicas carry within the SLO [1/s]."""
        ready: dict[VariantKey, int] = {key: pool.count_ready(self.now_s) for key, pool in self.pools.items()}
        return compute_capacity_per_s(ready, self._capacities, self.model.routing)

    def _decide(self) -> None:
        snapshot = self._show()
        outcome = decide(self.state, snapshot, self.now_s, self.settings)
        self.state = outcome.state
        decision = next((entry for entry in outcome.decisions if entry.key == self.model.key), None)
        rate_per_s = self._arrivals / self.settings.decision.period_s
        self.passes.append(Pass(self.now_s, rate_per_s, snapshot, decision, self.get_ready_per_s()))
        self._arrivals, self._got = 0.0, {}

    def _show(self) -> FleetSnapshot:
        start_s = self.now_s - self.settings.decision.period_s
        states = tuple(pool.to_state(self.now_s) for pool in self.pools.values())
        windows = tuple(
            self._count(pod.pod, start_s) for state in states for pod in state.pods if pod.ready_s is not None
        )
        gateway = make_gateway(self._arrivals, start_s, self.now_s, self.held) if self.model.has_gateway else None
        shown = self.hide(self.now_s, ModelSnapshot(self.model.key, states, windows, gateway))
        return FleetSnapshot(self.now_s, (shown,))

    def _count(self, pod: PodKey, start_s: float) -> DemandWindow:
        got = self._got.get(pod, 0.0)
        window = make_pod_window(pod.name, got, start_s, self.now_s)
        return replace(window, source=DemandSource.HTTP_REQUESTS)

    def get_attainment_ratio(self, start_s: float = 0.0, end_s: float | None = None) -> float:
        """Return the share of what was offered between two moments that found capacity [0-1]."""
        stretch = slice(int(start_s), None if end_s is None else int(end_s))
        return sum(self.served[stretch]) / max(sum(self.offered[stretch]), 1e-9)

    @property
    def cost(self) -> float:
        """What the replicas have cost [currency]."""
        return sum(pool.cost for pool in self.pools.values())

    def count_changes(self, start_s: float = 0.0) -> list[float]:
        """Return the times at which a published number changed after `start_s` [s]."""
        pairs = zip(self.passes, self.passes[1:], strict=False)
        return [after.now_s for before, after in pairs if after.now_s > start_s and before.planned != after.planned]
