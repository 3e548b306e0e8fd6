"""Dynamo's planner, generation 2, in a simulated cluster: each variant a pool of engines of both roles.

``rate``: every 180 s the requests that ended are extrapolated, and divided by what a replica carries within the targets
of the mean latencies. ``load``: every 5 s one replica more or fewer, by thresholds of cache and queue, or, with aim
``sla``, by estimates from laws fitted to what pages tell of iterations: the peer measures every iteration, a page tells
means over a scrape. Nothing moves while replicas start or do not report, nor before every page is newer than the last
move, as the peer's measurements are. It sees pages, never the truth.

Quirks kept: demand is counted when requests end, so that a queue hides it; means of lengths stand for all requests; no
forecast before lengths are known. The budget of the peer, 8 accelerators, bounds every pool unless another is given.

Source: NVIDIA Dynamo, planner and defaults of its configuration at 1b5541004f37.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from optimizer.domain import PodKey, PodReading, ServedModel, Variant, VariantKey
from optimizer.policy.dynamo import AcceleratorBudget as Budget
from optimizer.policy.dynamo import (
    AggregatedLaw,
    Aim,
    BatchLimits,
    DecodeLoad,
    LoadSettings,
    MeanLengths,
    Pair,
    PlannerSettings,
    PrefillLoad,
    cap_step,
    clamp_pair,
    count_replicas,
    find_aggregated_capacity,
    fit_aggregated,
    guard_single,
    predict,
    step_aggregated_load,
    step_decode_easily,
)
from optimizer.simulation.decider import ScraperView
from optimizer.simulation.deciders.dynamo_pages import Intervals, PlannerMemory, find_decode_load, sample_aggregated
from optimizer.simulation.deciders.dynamo_settings import (
    DynamoBrief,
    DynamoMode,
    DynamoShipped,
    Planner,
    make_brief,
)
from optimizer.simulation.deciders.dynamo_tables import sweep_aggregated
from optimizer.simulation.deciders.page_counts import Counts, add_counts
from optimizer.simulation.deciders.pools import Pool, iterate_pools, list_told_readings


def make_dynamo(
    models: tuple[ServedModel, ...],
    mode: DynamoMode = DynamoMode.LOAD,
    settings: PlannerSettings | None = None,
    shipped: DynamoShipped | None = None,
    *,
    knows_promises: bool = False,
) -> DynamoDecider:
    """Return the scaler with the peer's defaults, or with `settings` for its mode.

    With `knows_promises` its targets are those that the LLMs promise; see `make_brief`.

    Raises
    ------
    InvalidInput
        When the peer would refuse the settings.
    """
    usual = settings or (shipped or DynamoShipped()).get_settings(mode)
    return DynamoDecider(models, make_brief(models, mode, usual, knows_promises=knows_promises))


class DynamoDecider(Planner):
    """See the module; `brief` is what it was told."""

    def __init__(self, models: tuple[ServedModel, ...], brief: DynamoBrief) -> None:
        super().__init__(brief)
        self._models = models
        self._variants = {one.key(one.main_role): one for model in models for one in model.variants}
        self._memories: dict[VariantKey, PlannerMemory] = {}

    def step(self, view: ScraperView) -> Mapping[VariantKey, int]:
        """Return the replicas wanted of every variant; see `Decider`."""
        interval_s = self.measure_interval_s(view.now_s)
        wanted = {}
        for pool in iterate_pools(self._models, view):
            memory = self._memories.setdefault(pool.key, PlannerMemory.start(self.brief.by_model[pool.model]))
            readings = list_told_readings(pool, view)
            grown = memory.intervals.track(readings, {pod.pod for pod in pool.state.pods})
            memory.intervals.remember(add_counts(grown.values()))
            if self.brief.mode is DynamoMode.RATE:
                count = self._step_rate(pool, memory.intervals, interval_s)
            else:
                count = self._step_load(pool, memory, readings, grown)
            wanted[pool.key] = pool.bound(count)
            if wanted[pool.key] != pool.requested_replicas:
                memory.intervals.moved_s = view.now_s
        return wanted

    def _step_rate(self, pool: Pool, memory: Intervals, interval_s: float) -> int:
        """Return the replicas for what is forecast; those that are there while nothing is known."""
        if memory.lengths is None or interval_s <= 0.0:
            return pool.requested_replicas
        settings = self.brief.by_model[pool.model]
        predicted = [predict(settings.predictor, seen) for seen in (memory.requests, memory.inputs, memory.outputs)]
        lengths = MeanLengths(max(predicted[1], 1.0), max(predicted[2], 1.0), memory.lengths.cached_ratio)
        variant = self._variants[pool.key]
        law = sweep_aggregated(variant, lengths.context_tokens)
        if law is None:
            return pool.requested_replicas
        found = find_aggregated_capacity(
            law,
            lengths,
            _limit_batch(variant),
            target_ttft_s=settings.target_ttft_s,
            target_itl_s=settings.target_itl_s,
        )
        computed = count_replicas(max(predicted[0], 0.0) / interval_s, found.capacity_per_s, settings.min_replicas)
        stepped = cap_step(pool.requested_replicas, computed, settings.max_step_replicas)
        return _clamp(stepped, variant, settings)

    def _step_load(
        self, pool: Pool, memory: PlannerMemory, readings: tuple[PodReading, ...], grown: Mapping[PodKey, Counts]
    ) -> int:
        """Return one replica more or fewer; those that are there while they change, or their load is not known."""
        settings, variant = self.brief.by_model[pool.model], self._variants[pool.key]
        for reading in readings:
            sample = sample_aggregated(reading, grown.get(reading.pod, {}))
            memory.samples = memory.samples if sample is None else memory.samples.add(sample)
        lengths, moved_s = memory.intervals.lengths, memory.intervals.moved_s
        is_moving = not pool.requested_replicas == len(pool.state.pods) == len(pool.told_pods) == len(readings)
        is_moving = is_moving or any(reading.time_s <= moved_s for reading in readings)
        load = None if lengths is None else find_decode_load(readings, lengths, variant)
        if is_moving or load is None or lengths is None:
            return pool.requested_replicas
        if settings.aim is Aim.SLA:
            proposed = _estimate(load, fit_aggregated(memory.samples), lengths, variant, settings)
        else:
            proposed = step_decode_easily(load, load.max_kv_tokens or 1.0, settings.aim, settings.min_replicas)
        band = (settings.min_accelerators, settings.max_accelerators)
        each = variant.accelerators_per_replica
        return guard_single(pool.requested_replicas, proposed, each, band, settings.min_replicas)[0]


def _clamp(replicas: int, variant: Variant, settings: PlannerSettings) -> int:
    each = variant.accelerators_per_replica
    band = (settings.min_accelerators, settings.max_accelerators)
    return clamp_pair(Pair(replicas, 0), Budget(each, each, *band, settings.min_replicas, 0)).prefill


def _estimate(
    load: DecodeLoad,
    law: AggregatedLaw | None,
    lengths: MeanLengths,
    variant: Variant,
    settings: PlannerSettings,
) -> int:
    """Return what the estimates of a fitted law ask for; the present count before there is any."""
    replicas = len(load.kv_tokens)
    if law is None:
        return replicas
    prefill = PrefillLoad(load.queued_kv_tokens, lengths.input_tokens, variant.max_batched_tokens, lengths.cached_ratio)
    decode = replace(load, queued_kv_tokens=(0.0,) * replicas)
    usual = LoadSettings(settings.target_ttft_s, settings.sensitivity_ratio, settings.min_replicas)
    return step_aggregated_load(law, prefill, decode, usual, replace(usual, target_s=settings.target_itl_s)).replicas


def _limit_batch(variant: Variant) -> BatchLimits:
    kv_tokens = None if variant.performance is None else variant.performance.kv_capacity_tokens
    return BatchLimits(variant.max_batched_tokens, kv_tokens, variant.max_running_requests)
