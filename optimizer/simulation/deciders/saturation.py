"""Saturation as a scaler of a simulated cluster: the peer's own loop with what it ships, over every LLM by itself.

Its gauge is published, and the HPA of its samples follows. Variants without replicas are *parked*: requests that wait
at the gateway of the LLM wake all of them, by a patch of their scale that is made with the next sync. Of KV cache and
queue the peaks of the pages of a minute count; a pod reports as long as a page of it is as young as that. Pages and
pods are seen, never the truth.

Source: llm-d workload-variant-autoscaler b08b1c7 (2026-02-19): period, thresholds, windows; bounds as in release 0.9.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from optimizer.domain import (
    Accelerator,
    Counter,
    Histogram,
    ModelKey,
    ModelSnapshot,
    PodKey,
    PodReading,
    PodState,
    ServedModel,
    Settings,
    SignalSpec,
    Variant,
    VariantKey,
    VariantState,
)
from optimizer.policy.hpa_law import Behavior, HpaSpec, PolicyType, ScalingRules, StepPolicy
from optimizer.policy.saturation import SaturationOptions, SaturationVersion, TokenState
from optimizer.simulation.cluster.options import Actuation
from optimizer.simulation.decider import ScraperView
from optimizer.simulation.deciders.page_counts import CountHistory, Counts, find_mean
from optimizer.simulation.deciders.pools import MOST_REPLICAS
from optimizer.simulation.deciders.saturation_cycle import PeerCall, PeerLine, PodFigures, step_peer

MOST_DEVICES = 1_000_000
"""Devices of an accelerator that no quota bounds."""
_TEN = ScalingRules((StepPolicy(PolicyType.PODS, 10, 15.0),))
PEER_HPA = HpaSpec(1, MOST_REPLICAS, behavior=Behavior(_TEN, _TEN))
"""That of the peer's sample: ten replicas in 15 s either way, no window, and the usual tolerance of 0.1."""
_ROUNDING_S = 1e-6


@dataclass(frozen=True, slots=True)
class SaturationShipped:
    """What the peer comes with.

    Attributes
    ----------
    period_s
        Time between two cycles [s].
    look_s
        Time between two pages of a pod that count for its peaks [s].
    zero_poll_s
        Time between two looks at the gateway while no replica of an LLM serves [s].
    options
        Analyzer, thresholds and windows.
    may_be_zero
        Whether an LLM may go to zero.
    retention_s
        Time without a served request after which it does [s].
    follower
        The autoscaler that follows the gauge; it may go to zero where an LLM may.
    """

    period_s: float = 30.0
    look_s: float = 15.0
    zero_poll_s: float = 0.1
    options: SaturationOptions = field(default_factory=SaturationOptions)
    may_be_zero: bool = False
    retention_s: float = 600.0
    follower: HpaSpec = PEER_HPA


def make_saturation(
    models: tuple[ServedModel, ...],
    accelerators: tuple[Accelerator, ...] = (),
    version: SaturationVersion = SaturationVersion.V2,
    shipped: SaturationShipped | None = None,
    quota: Mapping[str, int] | None = None,
) -> SaturationDecider:
    """Return the scaler with the peer's defaults and the analyzer of `version`; `accelerators` give the prices.

    With a `quota`, devices by accelerator, the limiter of V1 is on, which is shipped off.
    """
    usual = shipped or SaturationShipped()
    told = replace(usual, options=replace(usual.options, version=version))
    return SaturationDecider(Settings(models, accelerators), told, quota)


@dataclass(slots=True)
class _Memory:
    """Of one LLM: pages of its pods, when it served last [s], what was learned, and when its next cycle is [s]."""

    lengths: CountHistory
    peaks: dict[PodKey, deque[tuple[float, float, float]]] = field(default_factory=dict)
    finished: dict[PodKey, float] = field(default_factory=dict)
    served_s: float | None = None
    tokens: TokenState = field(default_factory=TokenState)
    next_s: float = 0.0


class SaturationDecider:
    """See the module.

    `actuation` says how its answer becomes replicas, `patched` which variants of the newest it patches itself.
    """

    actuation = Actuation.HPA

    def __init__(self, settings: Settings, shipped: SaturationShipped, quota: Mapping[str, int] | None) -> None:
        self._settings, self._shipped, self._quota = settings, shipped, quota
        self._models = {model.key: model for model in settings.models}
        self._desired: dict[VariantKey, int] = {}
        self._is_dark = False
        self.patched: frozenset[VariantKey] = frozenset()
        window_s = shipped.options.length_window_s
        self._memories = {model.key: _Memory(CountHistory(window_s)) for model in settings.models}

    @property
    def period_s(self) -> float:
        """Time until it wants to look again [s]."""
        return self._shipped.zero_poll_s if self._is_dark else self._shipped.look_s

    @property
    def follower(self) -> HpaSpec:
        """The autoscaler that follows its gauge."""
        follower = self._shipped.follower
        return replace(follower, min_replicas=0) if self._shipped.may_be_zero else follower

    @property
    def signals(self) -> Mapping[ModelKey, tuple[SignalSpec, ...]]:
        """None: the usual figures do."""
        return {}

    def step(self, view: ScraperView) -> Mapping[VariantKey, int]:
        """Return what is published of the LLMs whose cycle it is, and of variants that are woken; see `Decider`."""
        answers: dict[VariantKey, int] = {}
        woken: set[VariantKey] = set()
        self._is_dark = False
        for snapshot in view.snapshot.models:
            memory = self._memories.get(snapshot.key)
            if memory is None:
                continue
            model = self._models[snapshot.key]
            _track(memory, snapshot, view, self._shipped.options.peak_window_s)
            grown = memory.lengths.track(view.readings.get(model.key, ()), view.now_s)
            if view.now_s >= memory.next_s - _ROUNDING_S:
                memory.next_s = view.now_s + self._shipped.period_s
                answers |= self._step_model(model, snapshot, view, grown)
            woken |= self._wake(snapshot, view)
        self.patched = frozenset(woken)
        answers |= dict.fromkeys(woken, 1)
        self._desired |= answers
        return answers

    def _step_model(
        self, model: ServedModel, snapshot: ModelSnapshot, view: ScraperView, grown: Mapping[PodKey, Counts]
    ) -> dict[VariantKey, int]:
        memory = self._memories[model.key]
        states = {state.key: state for state in snapshot.variants if state.reason is None}
        named = {variant.key(variant.main_role): variant for variant in model.variants}
        lines = [self._see(variant, states[key], view, grown) for key, variant in named.items() if key in states]
        served_s = view.now_s if memory.served_s is None else memory.served_s
        retained = 0.0 if view.now_s - served_s >= self._shipped.retention_s else None
        call = PeerCall(model.model_id, self._shipped.may_be_zero, retained, self._find_free(view))
        targets, memory.tokens = step_peer(lines, call, memory.tokens, self._shipped.options)
        return {line.key: targets[line.name] for line in lines if line.name in targets}

    def _see(
        self, variant: Variant, state: VariantState, view: ScraperView, grown: Mapping[PodKey, Counts]
    ) -> PeerLine:
        peaks = self._memories[ModelKey(state.key.namespace, state.key.model_id)].peaks
        pods = tuple(_read(pod, peaks[pod.pod], grown.get(pod.pod, {})) for pod in state.pods if peaks.get(pod.pod))
        most = MOST_REPLICAS if variant.max_replicas is None else variant.max_replicas
        return PeerLine(
            state.key,
            variant,
            (min(max(variant.min_replicas, self.follower.min_replicas), most), most),
            self._settings.get_replica_cost_per_hour(variant),
            state.observed_replicas or view.requested.get(state.key, 0),
            state.ready_replicas,
            self._desired.get(state.key, 0),
            pods,
        )

    def _find_free(self, view: ScraperView) -> dict[str, int] | None:
        """Return the devices of the quota that replicas asked for leave; None where there is no quota."""
        if self._quota is None:
            return None
        free = {variant.accelerator: MOST_DEVICES for model in self._settings.models for variant in model.variants}
        free |= self._quota
        for variant in (entry for model in self._settings.models for entry in model.variants):
            used = view.requested.get(variant.key(variant.main_role), 0) * variant.accelerators_per_replica
            free[variant.accelerator] = max(free[variant.accelerator] - used, 0)
        return free

    def _wake(self, snapshot: ModelSnapshot, view: ScraperView) -> set[VariantKey]:
        """Return the parked variants of an LLM that somebody waits for."""
        if snapshot.gateway is None:
            return set()
        self._is_dark |= not any(state.ready_replicas for state in snapshot.variants)
        if not snapshot.gateway.waiting_requests:
            return set()
        return {state.key for state in snapshot.variants if view.requested.get(state.key) == 0}


def _track(memory: _Memory, snapshot: ModelSnapshot, view: ScraperView, window_s: float) -> None:
    """Note the gauges of new pages, and whether a request was served; pods that are gone are forgotten."""
    kept: dict[PodKey, deque[tuple[float, float, float]]] = {}
    for pod in (pod for state in snapshot.variants for pod in state.pods):
        samples = memory.peaks.get(pod.pod, deque())
        is_told = pod.kv_cache_ratio is not None or pod.waiting_requests is not None
        if is_told and pod.seen_s is not None and (not samples or pod.seen_s > samples[-1][0]):
            samples.append((pod.seen_s, pod.kv_cache_ratio or 0.0, pod.waiting_requests or 0.0))
        while samples and samples[0][0] < view.now_s - window_s:
            samples.popleft()
        kept[pod.pod] = samples
    memory.peaks = kept
    finished = {entry.pod: _count_finished(entry) for entry in view.readings.get(snapshot.key, ())}
    if memory.served_s is None or any(count != memory.finished.get(pod, 0.0) for pod, count in finished.items()):
        memory.served_s = view.now_s
    memory.finished = finished


def _count_finished(reading: PodReading) -> float:
    return reading.counters.get(Counter.FINISHED, 0.0)


def _read(pod: PodState, samples: deque[tuple[float, float, float]], grown: Counts) -> PodFigures:
    inputs, outputs = find_mean(grown, Histogram.INPUT_TOKENS), find_mean(grown, Histogram.OUTPUT_TOKENS)
    return PodFigures(
        max(kv_cache_ratio for _, kv_cache_ratio, _ in samples),
        max(waiting_requests for _, _, waiting_requests in samples),
        pod.kv_capacity_tokens or 0.0,
        inputs or 0.0,
        outputs or 0.0,
    )
