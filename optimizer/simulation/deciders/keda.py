"""KEDA on latency ratios in a simulated cluster: a wanted number every 60 s, an HPA of its own behaviour behind it.

Latencies are the measured 90th percentiles of the last minute over the pods of a variant, where the peer takes those
that a model predicts. It sees pages, never the truth.

Source
------
llm-d guides, KEDA form of the latency-ratio policy: up after 30 s by at most 100 % or 4 pods in 60 s, down after 180 s
by one pod in 120 s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from optimizer.demand import merge_histograms
from optimizer.demand.histogram import subtract_histogram
from optimizer.domain import (
    Histogram,
    HistogramReading,
    LatencyQuantity,
    ModelKey,
    PodKey,
    PodReading,
    ServedModel,
    SignalSpec,
    VariantKey,
)
from optimizer.policy.hpa_law import (
    Behavior,
    HpaSpec,
    HpaState,
    PolicyType,
    ReplicaCounts,
    ScalingRules,
    StepPolicy,
    start_hpa,
    step_hpa,
)
from optimizer.policy.keda import LatencySettings, compute_latency_ratio, step_latency_ratio
from optimizer.simulation.cluster.options import Rhythm
from optimizer.simulation.decider import ScraperView
from optimizer.simulation.deciders.pools import Pool, iterate_pools

_BEHAVIOR = Behavior(
    ScalingRules(
        (StepPolicy(PolicyType.PERCENT, 100, 60.0), StepPolicy(PolicyType.PODS, 4, 60.0)), stabilization_window_s=30.0
    ),
    ScalingRules((StepPolicy(PolicyType.PODS, 1, 120.0),), stabilization_window_s=180.0),
)
_NOTHING = HistogramReading((), (), 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class KedaShipped:
    """What is published.

    Attributes
    ----------
    sync_s
        Time between two syncs of the HPA [s].
    settings
        The rule.
    behavior
        Step limits and windows of the HPA.
    """

    sync_s: float = 15.0
    settings: LatencySettings = field(default_factory=LatencySettings)
    behavior: Behavior = _BEHAVIOR


def make_keda(models: tuple[ServedModel, ...], shipped: KedaShipped | None = None) -> KedaDecider:
    """Return the scaler as published; its targets are the tightest promises about TTFT and ITL of each LLM."""
    return KedaDecider(models, shipped or KedaShipped())


@dataclass(slots=True)
class _Memory:
    hpa: HpaState
    mean_ratio: float = 0.0
    wanted: int | None = None
    stepped_s: float | None = None


class KedaDecider:
    """See the module."""

    rhythm = Rhythm.SYNCS

    def __init__(self, models: tuple[ServedModel, ...], shipped: KedaShipped) -> None:
        self._models, self._shipped = models, shipped
        self._targets_s = {
            model.key: (_find_target_s(model, LatencyQuantity.TTFT), _find_target_s(model, LatencyQuantity.ITL))
            for model in models
        }
        self._pages: dict[PodKey, list[PodReading]] = {}
        self._memories: dict[VariantKey, _Memory] = {}

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
        self._keep_pages(view)
        return {pool.key: self._sync(pool, view.now_s) for pool in iterate_pools(self._models, view)}

    def _keep_pages(self, view: ScraperView) -> None:
        """Keep every page of the last period, and the newest one before it."""
        since_s, kept = view.now_s - self._shipped.settings.period_s, {}
        for reading in (reading for readings in view.readings.values() for reading in readings):
            pages = self._pages.get(reading.pod, [])
            if not pages or pages[-1].time_s < reading.time_s:
                pages.append(reading)
            while len(pages) > 1 and pages[1].time_s <= since_s:
                pages.pop(0)
            kept[reading.pod] = pages
        self._pages = kept

    def _sync(self, pool: Pool, now_s: float) -> int:
        memory = self._memories.setdefault(pool.key, _Memory(start_hpa(pool.requested_replicas, now_s)))
        if memory.stepped_s is None or now_s - memory.stepped_s >= self._shipped.settings.period_s:
            self._step_rule(memory, pool, now_s)
        spec = HpaSpec(pool.min_replicas, pool.max_replicas, behavior=self._shipped.behavior)
        counts = ReplicaCounts(pool.requested_replicas, pool.state.observed_replicas, pool.state.ready_replicas)
        number = None if memory.wanted is None else [1000 * memory.wanted]
        sync, memory.hpa = step_hpa(spec, memory.hpa, counts, [number], now_s)
        return sync.replicas

    def _step_rule(self, memory: _Memory, pool: Pool, now_s: float) -> None:
        pods = [pod.pod for pod in pool.ready_pods]
        if memory.stepped_s is None and not any(len(self._pages.get(pod, ())) > 1 for pod in pods):
            return  # nothing can be known of a minute yet
        ttft_target_s, itl_target_s = self._targets_s[pool.model]
        ratio = compute_latency_ratio(
            self._compute_percentile_s(pods, Histogram.TTFT),
            ttft_target_s,
            self._compute_percentile_s(pods, Histogram.ITL),
            itl_target_s,
        )
        wanted, memory.mean_ratio = step_latency_ratio(
            memory.mean_ratio,
            ratio,
            ready=pool.state.ready_replicas,
            requested=pool.requested_replicas,
            settings=self._shipped.settings,
        )
        memory.wanted, memory.stepped_s = pool.bound(wanted), now_s

    def _compute_percentile_s(self, pods: Iterable[PodKey], histogram: Histogram) -> float | None:
        total = _NOTHING
        for pod in pods:
            pages = self._pages.get(pod, [])
            if len(pages) > 1:
                total = merge_histograms(total, _subtract(pages[-1], pages[0], histogram))
        return _compute_quantile(total, self._shipped.settings.percentile_ratio)


def _subtract(newer: PodReading, older: PodReading, histogram: Histogram) -> HistogramReading:
    """Return what was observed between two pages of one pod; nothing where its process began anew."""
    after, before = newer.histograms.get(histogram), older.histograms.get(histogram)
    if after is None:
        return _NOTHING
    return after if before is None else (subtract_histogram(after, before) or _NOTHING)


def _compute_quantile(histogram: HistogramReading, ratio: float) -> float | None:
    """Return the quantile as Prometheus does: linear in its bucket, the last edge beyond it, however few there are."""
    if not histogram.edges or histogram.count <= 0.0:
        return None
    rank, low, low_count = ratio * histogram.count, 0.0, 0.0
    for edge, count in zip(histogram.edges, histogram.cumulative, strict=True):
        if count >= rank:
            return low + (edge - low) * (rank - low_count) / (count - low_count) if count > low_count else edge
        low, low_count = edge, count
    return histogram.edges[-1]


def _find_target_s(model: ServedModel, quantity: LatencyQuantity) -> float | None:
    promises = [entry.get_slo(quantity) for entry in model.service_classes]
    return min((slo.target_s for slo in promises if slo is not None), default=None)
