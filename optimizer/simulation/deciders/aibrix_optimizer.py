"""AIBrix's optimizer in a simulated cluster: every ten seconds the least-cost mix for the requests of some minutes.

What its gateway would have traced is made of the newest window of every pod: arrivals, completions, and how their
lengths are shared. Documents hold whole requests in the peer's buckets and speak of the time that the windows cover.
Profiles are those given, else made from the performance model that our own policy plans with, on the ticks of the
peer's benchmark. Its gauge is adopted as it is: hundredths are rounded up, idle counts taken whole; quirks of the rate
are kept. It sees pages, never the truth.

Source: AIBrix e3e10f9e (head, 2026-08-22), optimizer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from optimizer.demand import estimate_lengths, merge_length_sums
from optimizer.domain import (
    Accelerator,
    DemandWindow,
    LengthSums,
    ModelKey,
    ModelSnapshot,
    PodKey,
    ServedModel,
    Settings,
    SignalSpec,
    VariantKey,
    Workload,
)
from optimizer.policy.aibrix import (
    PEER_TICKS_TOKENS,
    CapacityProfile,
    LengthShares,
    ModelledProfile,
    OptimizedDeployment,
    OptimizerState,
    TraceDocument,
    share_lengths,
    step_optimizer,
)
from optimizer.simulation.decider import ScraperView
from optimizer.simulation.deciders.aibrix_gateway import TracingGateway
from optimizer.simulation.deciders.pools import Pool, iterate_pools

_NOTHING = LengthSums(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class AibrixOptimizerShipped:
    """What the peer comes with: its period [s], and the ticks of its benchmark [tokens]."""

    period_s: float = 10.0
    ticks_tokens: tuple[float, ...] = PEER_TICKS_TOKENS


def make_aibrix_optimizer(
    models: tuple[ServedModel, ...],
    accelerators: tuple[Accelerator, ...] = (),
    profiles: Mapping[VariantKey, CapacityProfile] | None = None,
    shipped: AibrixOptimizerShipped | None = None,
) -> AibrixOptimizerDecider:
    """Return the scaler with the peer's defaults; `profiles` replace modelled ones, all of an LLM on one grid."""
    return AibrixOptimizerDecider(models, accelerators, profiles or {}, shipped or AibrixOptimizerShipped())


@dataclass(slots=True)
class _Memory:
    """Of one LLM: the optimizer's state, the windows that were traced, how lengths were shared last, the gateway."""

    state: OptimizerState
    traced_s: dict[PodKey | None, float] = field(default_factory=dict)
    shares: LengthShares | None = None
    gateway: TracingGateway = field(default_factory=TracingGateway)


class AibrixOptimizerDecider:
    """See the module."""

    def __init__(
        self,
        models: tuple[ServedModel, ...],
        accelerators: tuple[Accelerator, ...],
        profiles: Mapping[VariantKey, CapacityProfile],
        shipped: AibrixOptimizerShipped,
    ) -> None:
        self._models, self._shipped = models, shipped
        settings = Settings(models, accelerators)
        modelled: dict[VariantKey, CapacityProfile] = {}
        for model in models:
            for variant in model.variants:
                if variant.performance is not None:
                    cost_per_hour = settings.get_replica_cost_per_hour(variant)
                    ticks = (shipped.ticks_tokens, shipped.ticks_tokens)
                    profile = ModelledProfile(variant, model.service_classes, None, cost_per_hour, *ticks)
                    modelled[variant.key(variant.main_role)] = profile
        self._profiles = {**modelled, **profiles}
        self._memories: dict[ModelKey, _Memory] = {}

    @property
    def period_s(self) -> float:
        """Time between two loops [s]."""
        return self._shipped.period_s

    @property
    def signals(self) -> Mapping[ModelKey, tuple[SignalSpec, ...]]:
        """None: the usual figures do."""
        return {}

    def step(self, view: ScraperView) -> Mapping[VariantKey, int]:
        """Return the replicas wanted of every variant; see `Decider`."""
        wanted: dict[VariantKey, int] = {}
        for model in self._models:
            pools = list(iterate_pools((model,), view))
            snapshot = next((entry for entry in view.snapshot.models if entry.key == model.key), None)
            if snapshot is not None and pools:
                wanted |= self._step_model(snapshot, pools, view.now_s)
        return wanted

    def _step_model(self, snapshot: ModelSnapshot, pools: list[Pool], now_s: float) -> dict[VariantKey, int]:
        deployments = [
            OptimizedDeployment(pool.key.variant, pool.requested_replicas, pool.min_replicas) for pool in pools
        ]
        profiles = {pool.key.variant: self._profiles[pool.key] for pool in pools if pool.key in self._profiles}
        memory = self._memories.setdefault(snapshot.key, _Memory(OptimizerState.start(deployments)))
        document = self._trace(snapshot, memory)
        memory.state = step_optimizer(memory.state, document, now_s, profiles, deployments)
        return {pool.key: _bound(pool, memory.state.get_replicas(pool.key.variant)) for pool in pools}

    def _trace(self, snapshot: ModelSnapshot, memory: _Memory) -> TraceDocument | None:
        """Return what the gateway would have written of the windows that are new; None when nothing was asked."""
        fresh = [entry for entry in snapshot.windows if entry.end_s > memory.traced_s.get(entry.pod, -math.inf)]
        memory.traced_s = {entry.pod: entry.end_s for entry in snapshot.windows}
        shares = _share(fresh)
        memory.shares = memory.shares if shares is None else shares
        arrived = math.fsum(entry.arrivals or 0.0 for entry in fresh)
        completed = math.fsum(entry.completions or 0.0 for entry in fresh)
        if memory.shares is None or (arrived <= 0.0 and completed <= 0.0):
            return None
        document = memory.gateway.trace(memory.shares, completed, arrived)
        return replace(document, interval_s=max(entry.duration_s for entry in fresh))


def _share(windows: list[DemandWindow]) -> LengthShares | None:
    inputs, outputs = _NOTHING, _NOTHING
    for window in windows:
        inputs = inputs if window.input_lengths is None else merge_length_sums(inputs, window.input_lengths)
        outputs = outputs if window.output_lengths is None else merge_length_sums(outputs, window.output_lengths)
    lengths = (estimate_lengths(inputs), estimate_lengths(outputs))
    if lengths[0] is None or lengths[1] is None:
        return None
    return share_lengths(Workload(0.0, lengths[0], lengths[1]))


def _bound(pool: Pool, replicas: int) -> int:
    """Return `replicas` within the maximum; unlike a PodAutoscaler the mix may leave a variant at zero."""
    return min(replicas, pool.max_replicas)
