"""Ray Serve's autoscaling in a simulated cluster: one pool per variant, on requests in flight over the look-back.

Asked every 2 s rather than in the peer's loop of 0.1 s: pages come every 15 s, and its delays are tens of seconds.
Zero is switched off by the lower bound. It sees pages, never the truth.

Source
------
Ray Serve, default autoscaling policy; an upper bound of 100 as with ``num_replicas: auto`` where a variant has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from optimizer.domain import ModelKey, PodKey, PodState, ServedModel, SignalSpec, VariantKey
from optimizer.policy.ray_serve import (
    DelayState,
    LoadPoint,
    RaySettings,
    compute_time_weighted_mean,
    merge_total,
    step_ray_serve,
)
from optimizer.simulation.decider import ScraperView
from optimizer.simulation.deciders.pools import MOST_REPLICAS, Pool, iterate_pools

AUTO_MAX_REPLICAS = 100


@dataclass(frozen=True, slots=True)
class RayShipped:
    """What the peer comes with.

    Attributes
    ----------
    loop_s
        Time between two steps [s].
    settings
        Target, delays, gains; bounds are those of the variants.
    """

    loop_s: float = 2.0
    settings: RaySettings = field(default_factory=RaySettings)


def make_ray_serve(
    models: tuple[ServedModel, ...],
    targets: Mapping[VariantKey, float] | None = None,
    shipped: RayShipped | None = None,
) -> RayServeDecider:
    """Return the scaler with the peer's defaults; `targets` is what a replica is to have in flight [requests]."""
    return RayServeDecider(models, targets or {}, shipped or RayShipped())


@dataclass(slots=True)
class _Memory:
    delay: DelayState = field(default_factory=DelayState)
    series: dict[PodKey, list[LoadPoint]] = field(default_factory=dict)


class RayServeDecider:
    """See the module."""

    def __init__(
        self, models: tuple[ServedModel, ...], targets: Mapping[VariantKey, float], shipped: RayShipped
    ) -> None:
        self._models, self._targets, self._shipped = models, dict(targets), shipped
        self._memories: dict[VariantKey, _Memory] = {}

    @property
    def period_s(self) -> float:
        """Time between two steps [s]."""
        return self._shipped.loop_s

    @property
    def signals(self) -> Mapping[ModelKey, tuple[SignalSpec, ...]]:
        """None: the usual figures do."""
        return {}

    def step(self, view: ScraperView) -> Mapping[VariantKey, int]:
        """Return the target replicas of every variant; see `Decider`."""
        return {pool.key: self._step_pool(pool, view.now_s) for pool in iterate_pools(self._models, view)}

    def _step_pool(self, pool: Pool, now_s: float) -> int:
        settings = self._shipped.settings
        if pool.key in self._targets:
            settings = replace(settings, target_ongoing_requests=self._targets[pool.key])
        memory = self._memories.setdefault(pool.key, _Memory())
        _keep(memory, pool, now_s - settings.look_back_period_s)
        total = _compute_total(memory, now_s, settings)
        if total is None:
            return _bound(pool, pool.requested_replicas)
        replicas, memory.delay = step_ray_serve(
            memory.delay,
            total,
            current=len(pool.ready_pods),
            target=pool.requested_replicas,
            now_s=now_s,
            settings=settings,
        )
        return _bound(pool, replicas)


def _keep(memory: _Memory, pool: Pool, since_s: float) -> None:
    """Add what is new to the series of every ready pod; what held before the look-back is kept once."""
    series = {}
    for pod in pool.ready_pods:
        points = memory.series.get(pod.pod, [])
        point = _to_point(pod)
        if point is not None and (not points or points[-1].time_s < point.time_s):
            points.append(point)
        while len(points) > 1 and points[1].time_s <= since_s:
            points.pop(0)
        if points:
            series[pod.pod] = points
    memory.series = series


def _to_point(pod: PodState) -> LoadPoint | None:
    if pod.seen_s is None or pod.running_requests is None or pod.waiting_requests is None:
        return None
    return LoadPoint(pod.seen_s, pod.running_requests + pod.waiting_requests)


def _compute_total(memory: _Memory, now_s: float, settings: RaySettings) -> float | None:
    """Return the requests in flight over the look-back, from where every pod has told; None when none has."""
    if not memory.series:
        return None
    merged = merge_total(list(memory.series.values()))
    all_begun_s = max(points[0].time_s for points in memory.series.values())
    start_s = max(all_begun_s, now_s - settings.look_back_period_s)
    inside = [point.requests for point in merged if point.time_s >= start_s] or [merged[-1].requests]
    if settings.aggregation_function == "max":
        return max(inside)
    if settings.aggregation_function == "min":
        return min(inside)
    mean = compute_time_weighted_mean(merged, max(now_s - merged[-1].time_s, 0.0), start_s)
    return merged[-1].requests if mean is None else mean


def _bound(pool: Pool, replicas: int) -> int:
    most = AUTO_MAX_REPLICAS if pool.max_replicas == MOST_REPLICAS else pool.max_replicas
    return min(max(replicas, pool.min_replicas), most)
