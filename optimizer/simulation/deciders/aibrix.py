"""AIBrix in a simulated cluster: a PodAutoscaler per variant, of two generations, patching scale at once.

The value of a pod is what its newest page says: KV cache in use against the target of the peer's samples, or requests
in flight where `targets` say how many a replica carries. Quirks of the loop are kept: in the head every pod is asked,
and one that starts, or whose page cannot be had, reads 0; in v0.4 a page that cannot be had ends the tick. It sees
pages, never the truth.

Source: AIBrix e3e10f9e (head, 2026-08-22) and v0.4.0: period, windows, rates and tolerances; target 0.5 of its samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from optimizer.domain import ModelKey, PodPhase, PodState, ServedModel, SignalSpec, VariantKey
from optimizer.policy.aibrix import (
    AutoscalerState,
    OldAutoscalerState,
    OldTick,
    ScalingSettings,
    Strategy,
    Tick,
    Version,
    step_autoscaler,
    step_old_autoscaler,
)
from optimizer.simulation.decider import ScraperView
from optimizer.simulation.deciders.pools import Pool, iterate_pools

_OLD_KPA = ScalingSettings(target=0.5, stable_window_s=60.0, panic_window_s=10.0)
_OLD_APA = replace(_OLD_KPA, scale_down_tolerance_ratio=0.2)


@dataclass(frozen=True, slots=True)
class AibrixShipped:
    """What the peer comes with.

    Attributes
    ----------
    period_s
        Time between two ticks [s].
    head
        Settings of KPA and APA of the head; bounds are those of the variants.
    old_kpa, old_apa
        Those of v0.4.
    """

    period_s: float = 10.0
    head: ScalingSettings = field(default_factory=lambda: ScalingSettings(target=0.5))
    old_kpa: ScalingSettings = _OLD_KPA
    old_apa: ScalingSettings = _OLD_APA

    def get_settings(self, strategy: Strategy, version: Version) -> ScalingSettings:
        """Return the settings of one strategy of one version."""
        if version is Version.HEAD:
            return self.head
        return self.old_kpa if strategy is Strategy.KPA else self.old_apa


def make_aibrix(
    models: tuple[ServedModel, ...],
    strategy: Strategy = Strategy.APA,
    version: Version = Version.HEAD,
    targets: Mapping[VariantKey, float] | None = None,
    shipped: AibrixShipped | None = None,
) -> AibrixDecider:
    """Return the scaler with the peer's defaults; `targets` are requests in flight of one replica, by variant."""
    return AibrixDecider(models, strategy, version, targets or {}, shipped or AibrixShipped())


class AibrixDecider:
    """See the module."""

    def __init__(
        self,
        models: tuple[ServedModel, ...],
        strategy: Strategy,
        version: Version,
        targets: Mapping[VariantKey, float],
        shipped: AibrixShipped,
    ) -> None:
        self._models, self._targets, self._shipped = models, dict(targets), shipped
        self._strategy, self._version = strategy, version
        self._states: dict[VariantKey, AutoscalerState] = {}
        self._old_states: dict[VariantKey, OldAutoscalerState] = {}

    @property
    def period_s(self) -> float:
        """Time between two ticks [s]."""
        return self._shipped.period_s

    @property
    def signals(self) -> Mapping[ModelKey, tuple[SignalSpec, ...]]:
        """None: the usual figures do."""
        return {}

    def step(self, view: ScraperView) -> Mapping[VariantKey, int]:
        """Return the replicas wanted of every variant; see `Decider`."""
        step = self._step_head if self._version is Version.HEAD else self._step_old
        return {pool.key: step(pool, view.now_s) for pool in iterate_pools(self._models, view)}

    def _configure(self, pool: Pool) -> ScalingSettings:
        settings = self._shipped.get_settings(self._strategy, self._version)
        target = self._targets.get(pool.key, settings.target)
        return replace(settings, target=target, min_replicas=pool.min_replicas, max_replicas=pool.max_replicas)

    def _read(self, key: VariantKey, pod: PodState) -> float | None:
        if pod.phase is not PodPhase.READY or pod.reason is not None:
            return None
        if key not in self._targets:
            return pod.kv_cache_ratio
        if pod.running_requests is None or pod.waiting_requests is None:
            return None
        return pod.running_requests + pod.waiting_requests

    def _step_head(self, pool: Pool, now_s: float) -> int:
        settings = self._configure(pool)
        state = self._states.get(pool.key) or AutoscalerState.start(settings)
        pods = [pod for pod in pool.state.pods if pod.phase is not PodPhase.TERMINATING]
        told = [self._read(pool.key, pod) for pod in pods]
        is_blind = bool(told) and all(value is None for value in told)
        tick = Tick(pool.requested_replicas, None if is_blind else [value or 0.0 for value in told])
        wanted, self._states[pool.key] = step_autoscaler(state, tick, now_s, settings, self._strategy)
        return wanted

    def _step_old(self, pool: Pool, now_s: float) -> int:
        settings = self._configure(pool)
        state = self._old_states.get(pool.key) or OldAutoscalerState.start(settings, pool.requested_replicas)
        told = [self._read(pool.key, pod) for pod in pool.ready_pods]
        values = [value for value in told if value is not None]
        tick = OldTick(pool.requested_replicas, len(told), values if len(values) == len(told) else None)
        wanted, self._old_states[pool.key] = step_old_autoscaler(state, tick, now_s, settings, self._strategy)
        return wanted
