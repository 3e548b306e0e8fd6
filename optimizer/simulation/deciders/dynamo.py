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
from dataclasses import dataclass, field, replace
from enum import StrEnum

from optimizer.domain import (
    Counter,
    Gauge,
    Histogram,
    ModelKey,
    PodKey,
    PodReading,
    ServedModel,
    SignalSpec,
    Variant,
    VariantKey,
)
from optimizer.policy.dynamo import AcceleratorBudget as Budget
from optimizer.policy.dynamo import (
    Aim,
    BatchLimits,
    DecodeLoad,
    IterationSample,
    LoadSettings,
    MeanLengths,
    Pair,
    PlannerSettings,
    PrefillLoad,
    SampleStore,
    cap_step,
    check_planner,
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
from optimizer.simulation.deciders.dynamo_tables import sweep_aggregated
from optimizer.simulation.deciders.page_counts import (
    Counts,
    add_counts,
    find_mean,
    read_counts,
    subtract_counts,
)
from optimizer.simulation.deciders.pools import Pool, iterate_pools, list_told_readings

KEPT_INTERVALS = 64
"""Intervals that are looked back on."""


class DynamoMode(StrEnum):
    """Which path scales."""

    RATE = "rate"
    LOAD = "load"

    def get_interval_s(self, settings: PlannerSettings) -> float:
        """Return the time between two decisions [s]."""
        return settings.throughput_interval_s if self is DynamoMode.RATE else settings.load_interval_s


@dataclass(frozen=True, slots=True)
class DynamoShipped:
    """What the peer comes with: the settings of both paths."""

    rate: PlannerSettings = field(default_factory=lambda: PlannerSettings(aim=Aim.SLA))
    load: PlannerSettings = field(default_factory=PlannerSettings)


def make_dynamo(
    models: tuple[ServedModel, ...],
    mode: DynamoMode = DynamoMode.LOAD,
    settings: PlannerSettings | None = None,
    shipped: DynamoShipped | None = None,
) -> DynamoDecider:
    """Return the scaler with the peer's defaults, or with `settings` for its mode.

    Raises
    ------
    InvalidInput
        When the peer would refuse the settings.
    """
    usual = shipped or DynamoShipped()
    chosen = settings or (usual.rate if mode is DynamoMode.RATE else usual.load)
    check_planner(chosen)
    return DynamoDecider(models, mode, chosen)


@dataclass(slots=True)
class _Memory:
    """Of one pool: counts of the pages of the last decision, the intervals seen, iterations, and the last move [s]."""

    pages: dict[PodKey, Counts] = field(default_factory=dict)
    requests: list[float] = field(default_factory=list)
    inputs: list[float] = field(default_factory=list)
    outputs: list[float] = field(default_factory=list)
    lengths: MeanLengths | None = None
    samples: SampleStore = field(default_factory=SampleStore)
    moved_s: float = 0.0


class DynamoDecider:
    """See the module."""

    def __init__(self, models: tuple[ServedModel, ...], mode: DynamoMode, settings: PlannerSettings) -> None:
        self._models, self._mode, self._settings = models, mode, settings
        self._variants = {one.key(one.main_role): one for model in models for one in model.variants}
        self._memories: dict[VariantKey, _Memory] = {}
        self._decided_s: float | None = None

    @property
    def period_s(self) -> float:
        """Time between two decisions [s]."""
        return self._mode.get_interval_s(self._settings)

    @property
    def signals(self) -> Mapping[ModelKey, tuple[SignalSpec, ...]]:
        """None: the usual figures do."""
        return {}

    def step(self, view: ScraperView) -> Mapping[VariantKey, int]:
        """Return the replicas wanted of every variant; see `Decider`."""
        interval_s = self.period_s if self._decided_s is None else view.now_s - self._decided_s
        self._decided_s = view.now_s
        wanted = {}
        for pool in iterate_pools(self._models, view):
            memory = self._memories.setdefault(pool.key, _Memory())
            readings = list_told_readings(pool, view)
            grown = _track(memory, readings, {pod.pod for pod in pool.state.pods})
            if self._mode is DynamoMode.RATE:
                count = self._step_rate(pool, memory, add_counts(grown.values()), interval_s)
            else:
                count = self._step_load(pool, memory, readings, grown)
            wanted[pool.key] = pool.bound(count)
            if wanted[pool.key] != pool.requested_replicas:
                memory.moved_s = view.now_s
        return wanted

    def _step_rate(self, pool: Pool, memory: _Memory, grown: Counts, interval_s: float) -> int:
        """Return the replicas for what is forecast; those that are there while nothing is known."""
        _remember(memory, grown)
        if memory.lengths is None or interval_s <= 0.0:
            return pool.requested_replicas
        settings = self._settings
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
        return self._clamp(stepped, variant)

    def _clamp(self, replicas: int, variant: Variant) -> int:
        settings = self._settings
        each = variant.accelerators_per_replica
        band = (settings.min_accelerators, settings.max_accelerators)
        return clamp_pair(Pair(replicas, 0), Budget(each, each, *band, settings.min_replicas, 0)).prefill

    def _step_load(
        self, pool: Pool, memory: _Memory, readings: tuple[PodReading, ...], grown: Mapping[PodKey, Counts]
    ) -> int:
        """Return one replica more or fewer; those that are there while they change, or their load is not known."""
        settings, variant = self._settings, self._variants[pool.key]
        _remember(memory, add_counts(grown.values()))
        for reading in readings:
            sample = _sample(reading, grown.get(reading.pod, {}))
            memory.samples = memory.samples if sample is None else memory.samples.add(sample)
        is_moving = not pool.requested_replicas == len(pool.state.pods) == len(pool.told_pods) == len(readings)
        is_moving = is_moving or any(reading.time_s <= memory.moved_s for reading in readings)
        load = None if memory.lengths is None else _find_load(readings, memory.lengths, variant)
        if is_moving or load is None or memory.lengths is None:
            return pool.requested_replicas
        if settings.aim is Aim.SLA:
            proposed = self._estimate(load, memory, readings, variant)
        else:
            proposed = step_decode_easily(load, load.max_kv_tokens or 1.0, settings.aim, settings.min_replicas)
        band = (settings.min_accelerators, settings.max_accelerators)
        each = variant.accelerators_per_replica
        return guard_single(pool.requested_replicas, proposed, each, band, settings.min_replicas)[0]

    def _estimate(self, load: DecodeLoad, memory: _Memory, readings: tuple[PodReading, ...], variant: Variant) -> int:
        """Return what the estimates of fitted laws ask for; the present count before there are any."""
        law, lengths, settings = fit_aggregated(memory.samples), memory.lengths, self._settings
        if law is None or lengths is None:
            return len(readings)
        queued = tuple(reading.gauges[Gauge.WAITING_REQUESTS] * lengths.input_tokens for reading in readings)
        prefill = PrefillLoad(queued, lengths.input_tokens, variant.max_batched_tokens, lengths.cached_ratio)
        decode = replace(load, queued_kv_tokens=(0.0,) * len(readings))
        usual = LoadSettings(settings.target_ttft_s, settings.sensitivity_ratio, settings.min_replicas)
        return step_aggregated_load(
            law, prefill, decode, usual, replace(usual, target_s=settings.target_itl_s)
        ).replicas


def _track(memory: _Memory, readings: tuple[PodReading, ...], living: set[PodKey]) -> dict[PodKey, dict[str, float]]:
    """Return what the counts of each pod grew by since the last decision; those of a new pod count from zero."""
    pages = {reading.pod: read_counts(reading) for reading in readings}
    grown = {pod: subtract_counts(counts, memory.pages.get(pod, {})) for pod, counts in pages.items()}
    memory.pages = {**{pod: counts for pod, counts in memory.pages.items() if pod in living}, **pages}
    return grown


def _remember(memory: _Memory, grown: Counts) -> None:
    """Note the requests of an interval, and their lengths; those of one without any stay unknown."""
    inputs, outputs = find_mean(grown, Histogram.INPUT_TOKENS), find_mean(grown, Histogram.OUTPUT_TOKENS)
    if inputs is not None and outputs is not None:
        prompts = grown.get(Counter.PROMPT_TOKENS, 0.0)
        cached_ratio = grown.get(Counter.CACHED_TOKENS, 0.0) / prompts if prompts > 0.0 else 0.0
        memory.lengths = MeanLengths(inputs, outputs, min(cached_ratio, 1.0))
        memory.inputs.append(inputs)
        memory.outputs.append(outputs)
    if memory.lengths is not None:
        memory.requests.append(grown.get(Counter.FINISHED, 0.0))
    for values in (memory.requests, memory.inputs, memory.outputs):
        del values[:-KEPT_INTERVALS]


def _limit_batch(variant: Variant) -> BatchLimits:
    kv_tokens = None if variant.performance is None else variant.performance.kv_capacity_tokens
    return BatchLimits(variant.max_batched_tokens, kv_tokens, variant.max_running_requests)


def _find_load(readings: tuple[PodReading, ...], lengths: MeanLengths, variant: Variant) -> DecodeLoad | None:
    """Return the contexts held, and, as queued, the prompts that wait; None when a page or a cache does not tell."""
    usual = None if variant.performance is None else variant.performance.kv_capacity_tokens
    sizes = [reading.gauges.get(Gauge.KV_CAPACITY_TOKENS, usual) for reading in readings]
    shares = [reading.gauges.get(Gauge.KV_CACHE_RATIO) for reading in readings]
    waiting = [reading.gauges.get(Gauge.WAITING_REQUESTS) for reading in readings]
    running = [reading.gauges.get(Gauge.RUNNING_REQUESTS) for reading in readings]
    known = [
        (size, share, queue, batch)
        for size, share, queue, batch in zip(sizes, shares, waiting, running, strict=True)
        if size and share is not None and queue is not None and batch is not None
    ]
    if not known or len(known) < len(readings):
        return None
    return DecodeLoad(
        tuple(size * share for size, share, _, _ in known),
        tuple(queue * lengths.input_tokens for _, _, queue, _ in known),
        lengths.context_tokens,
        sum(batch for _, _, _, batch in known) / len(known),
        min(size for size, _, _, _ in known),
    )


def _sample(reading: PodReading, grown: Counts) -> IterationSample | None:
    """Return the mean iteration since the last page: its prompt tokens, the tokens held, and the mean ITL."""
    time_s, iterations = find_mean(grown, Histogram.ITL), grown.get(Counter.ITERATIONS, 0.0)
    size, share = reading.gauges.get(Gauge.KV_CAPACITY_TOKENS), reading.gauges.get(Gauge.KV_CACHE_RATIO)
    if time_s is None or iterations <= 0.0 or size is None or share is None:
        return None
    prompts = grown.get(Counter.COMPUTED_TOKENS, grown.get(Counter.PROMPT_TOKENS, 0.0))
    return IterationSample((prompts / iterations, size * share), time_s)
