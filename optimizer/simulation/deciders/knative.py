"""Knative's autoscaler in a simulated cluster: one pool per variant, asked every 2 s, scaling at once.

The load is that of the newest pages, extrapolated from the pods that told to all that serve, as the peer samples pods.
Zero is switched off, for there is no activator that would hold requests. It sees pages, never the truth.

Source
------
Knative Serving, defaults of its configuration; the target of 100 requests per replica is theirs and meant for web
servers: `totals` puts another in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from optimizer.domain import ModelKey, ServedModel, SignalSpec, VariantKey
from optimizer.policy.knative import KnativeSettings, LoadMetric, PoolState, start_pool, step_pool
from optimizer.simulation.decider import ScraperView
from optimizer.simulation.deciders.pools import Pool, iterate_pools, list_in_flight


@dataclass(frozen=True, slots=True)
class KnativeShipped:
    """What the peer comes with.

    Attributes
    ----------
    tick_s
        Time between two steps [s].
    settings
        Windows, target, rates; bounds are those of the variants.
    """

    tick_s: float = 2.0
    settings: KnativeSettings = field(default_factory=lambda: KnativeSettings(min_replicas=1))


def make_knative(
    models: tuple[ServedModel, ...],
    totals: Mapping[VariantKey, float] | None = None,
    shipped: KnativeShipped | None = None,
) -> KnativeDecider:
    """Return the scaler with the peer's defaults; `totals` is what a replica carries, by variant [requests, or 1/s]."""
    return KnativeDecider(models, totals or {}, shipped or KnativeShipped())


class KnativeDecider:
    """See the module."""

    def __init__(
        self, models: tuple[ServedModel, ...], totals: Mapping[VariantKey, float], shipped: KnativeShipped
    ) -> None:
        self._models, self._totals, self._shipped = models, dict(totals), shipped
        self._states: dict[VariantKey, PoolState] = {}

    @property
    def period_s(self) -> float:
        """Time between two steps [s]."""
        return self._shipped.tick_s

    @property
    def signals(self) -> Mapping[ModelKey, tuple[SignalSpec, ...]]:
        """None: the usual figures do."""
        return {}

    def step(self, view: ScraperView) -> Mapping[VariantKey, int]:
        """Return the replicas wanted of every variant; see `Decider`."""
        return {pool.key: self._step_pool(pool, view) for pool in iterate_pools(self._models, view)}

    def _step_pool(self, pool: Pool, view: ScraperView) -> int:
        settings = self._shipped.settings
        if pool.key in self._totals:
            settings = replace(settings, total=self._totals[pool.key])
        ready = len(pool.ready_pods)
        state = self._states.get(pool.key) or start_pool(ready, view.now_s, settings)
        requests = _extrapolate(self._read(pool, view), ready)
        wanted, self._states[pool.key] = step_pool(state, requests, ready, view.now_s, settings)
        return pool.bound(pool.requested_replicas if wanted is None else wanted)

    def _read(self, pool: Pool, view: ScraperView) -> list[float]:
        if self._shipped.settings.metric is LoadMetric.CONCURRENCY:
            return list_in_flight(pool)
        snapshot = next(entry for entry in view.snapshot.models if entry.key == pool.model)
        told = {pod.pod for pod in pool.told_pods}
        return [
            window.arrivals / (window.end_s - window.start_s)
            for window in snapshot.windows
            if window.pod in told and window.arrivals is not None and window.end_s > window.start_s
        ]


def _extrapolate(values: list[float], pods: int) -> float | None:
    return sum(values) / len(values) * pods if values else None
