"""HorizontalPodAutoscalers on what engines say of themselves: requests that wait, or use of the KV cache.

One per variant, on the sum over its pods, with the controller's real tolerance, windows and step limits. Quirk kept: a
sum over what was scraped falls when a page is lost; only when no page is left is the metric failed, and all is kept.
It sees pages, never the truth.

Source
------
The law: Kubernetes, metrics of type External with AverageValue. Five waiting requests per replica: vLLM production
stack, KEDA tutorial, behavior left to the cluster's defaults. For the KV cache no default is shipped by anybody we know
of: 0.8, the saturation threshold of llm-d's autoscaler, is our choice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from optimizer.domain import ModelKey, PodState, ServedModel, SignalSpec, VariantKey
from optimizer.policy.hpa_law import Behavior, HpaSpec, HpaState, MetricTarget, ReplicaCounts, start_hpa, step_hpa
from optimizer.policy.hpa_law.behavior import DEFAULT_TOLERANCE_RATIO
from optimizer.simulation.cluster.options import Rhythm
from optimizer.simulation.decider import ScraperView
from optimizer.simulation.deciders.pools import Pool, iterate_pools


class HpaMetric(StrEnum):
    """What is summed over the pods."""

    QUEUE = "queue"  # requests that wait
    KV = "kv"  # use of the KV cache [0-1]


@dataclass(frozen=True, slots=True)
class HpaShipped:
    """One HorizontalPodAutoscaler as it is shipped.

    Attributes
    ----------
    metric
        What is summed.
    target
        Mean per replica to keep [requests, or 0-1].
    sync_s
        Time between two syncs [s].
    tolerance_ratio
        Dead band of the cluster [0-1].
    behavior
        Step limits and windows; None means none was written: at most double, to 4 at least; down after 300 s.
    """

    metric: HpaMetric = HpaMetric.QUEUE
    target: float = 5.0
    sync_s: float = 15.0
    tolerance_ratio: float = DEFAULT_TOLERANCE_RATIO
    behavior: Behavior | None = None

    @classmethod
    def on(cls, metric: HpaMetric) -> HpaShipped:
        """Return the one on `metric`: 5 waiting requests per replica, or 0.8 of the KV cache."""
        return cls(metric, 5.0 if metric is HpaMetric.QUEUE else 0.8)


def make_hpa_queue(models: tuple[ServedModel, ...], shipped: HpaShipped | None = None) -> HpaDecider:
    """Return the scaler on waiting requests, at 5 per replica."""
    return HpaDecider(models, shipped or HpaShipped.on(HpaMetric.QUEUE))


def make_hpa_kv(models: tuple[ServedModel, ...], shipped: HpaShipped | None = None) -> HpaDecider:
    """Return the scaler on the use of the KV cache, at 0.8."""
    return HpaDecider(models, shipped or HpaShipped.on(HpaMetric.KV))


class HpaDecider:
    """See the module."""

    rhythm = Rhythm.SYNCS

    def __init__(self, models: tuple[ServedModel, ...], shipped: HpaShipped) -> None:
        self._models, self._shipped = models, shipped
        self._states: dict[VariantKey, HpaState] = {}

    @property
    def period_s(self) -> float:
        """Time between two syncs [s]."""
        return self._shipped.sync_s

    @property
    def signals(self) -> Mapping[ModelKey, tuple[SignalSpec, ...]]:
        """None: the usual figures do."""
        return {}

    def step(self, view: ScraperView) -> Mapping[VariantKey, int]:
        """Return the replicas after one sync of every autoscaler; see `Decider`."""
        return {pool.key: self._sync(pool, view.now_s) for pool in iterate_pools(self._models, view)}

    def _sync(self, pool: Pool, now_s: float) -> int:
        spec = HpaSpec(
            pool.min_replicas,
            pool.max_replicas,
            (MetricTarget(amount_milli=round(1000 * self._shipped.target)),),
            self._shipped.behavior,
            self._shipped.tolerance_ratio,
        )
        told = (self._read(pod) for pod in pool.told_pods)
        values = [math.ceil(round(1000 * value, 6)) for value in told if value is not None]
        counts = ReplicaCounts(pool.requested_replicas, pool.state.observed_replicas, pool.state.ready_replicas)
        state = self._states.get(pool.key) or start_hpa(pool.requested_replicas, now_s)
        sync, self._states[pool.key] = step_hpa(spec, state, counts, [values or None], now_s)
        return sync.replicas

    def _read(self, pod: PodState) -> float | None:
        return pod.waiting_requests if self._shipped.metric is HpaMetric.QUEUE else pod.kv_cache_ratio
