"""Dynamo's planner over a pair of pools in a simulated cluster: one variant prefills, one decodes.

``rate`` is generation 1: every 180 s, out of tables and of observed TTFT, ITL, lengths and ended requests; nothing
moves while any of that is missing. ``load`` is generation 2: every 5 s one replica of either pool more or fewer, inside
the band of accelerators, by thresholds, or, with aim ``sla``, by estimates of TTFT and ITL. A page of a prefill engine
tells no time of iterations, so its law is that of the sweep; that of decode is fitted to pages. LLMs without a pair are
left alone. It sees pages, never the truth.

Source: NVIDIA Dynamo, planner core at 07619258a49d, load scaling at 0c6da1ec762c, budget at 15a72ce9d401.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from optimizer.domain import (
    Counter,
    Gauge,
    Histogram,
    ModelKey,
    PodKey,
    PodReading,
    Role,
    ServedModel,
    Variant,
    VariantKey,
)
from optimizer.policy.dynamo import (
    AcceleratorBudget,
    Aim,
    DecodeLoad,
    DecodeTable,
    LoadSettings,
    Pair,
    PlannerSettings,
    PoolSizes,
    PrefillLaw,
    PrefillLoad,
    PrefillTable,
    ProfiledDemand,
    SampleStore,
    compute_concurrency,
    compute_corrections,
    fit_decode,
    guard_pair,
    plan_pools,
    predict,
    step_decode_easily,
    step_decode_load,
    step_prefill_easily,
    step_prefill_load,
)
from optimizer.simulation.decider import ScraperView
from optimizer.simulation.deciders.dynamo_pages import (
    KEPT_INTERVALS,
    Intervals,
    PlannerMemory,
    find_decode_load,
    sample_decode,
)
from optimizer.simulation.deciders.dynamo_settings import (
    DynamoBrief,
    DynamoMode,
    DynamoShipped,
    Planner,
    make_brief,
)
from optimizer.simulation.deciders.dynamo_tables import sweep_decode, sweep_prefill, sweep_prefill_law
from optimizer.simulation.deciders.page_counts import Counts, add_counts, find_mean
from optimizer.simulation.deciders.pools import Pool, iterate_pools, list_told_readings

CONTEXT_LENGTH_TOKENS = 8192.0
"""Longest context of an LLM, which queued prompts are measured by where nobody says another [tokens]."""


def make_dynamo_pools(
    models: tuple[ServedModel, ...],
    mode: DynamoMode = DynamoMode.RATE,
    settings: PlannerSettings | None = None,
    context_length_tokens: float = CONTEXT_LENGTH_TOKENS,
    shipped: DynamoShipped | None = None,
    *,
    knows_promises: bool = False,
) -> DynamoPoolsDecider:
    """Return the scaler with the peer's defaults, or with `settings` for its mode.

    With `knows_promises` its targets are those that the LLMs promise; see `make_brief`.

    Raises
    ------
    InvalidInput
        When the peer would refuse the settings.
    """
    usual = settings or (shipped or DynamoShipped()).get_settings(mode)
    brief = make_brief(models, mode, usual, knows_promises=knows_promises)
    return DynamoPoolsDecider(models, brief, context_length_tokens)


@dataclass(frozen=True, slots=True)
class _Pools:
    """The pair of one LLM, with its settings and what was swept of it where that could be done."""

    settings: PlannerSettings
    prefill: Variant
    decode: Variant
    prefill_table: PrefillTable | None
    decode_table: DecodeTable | None
    prefill_law: PrefillLaw | None


class DynamoPoolsDecider(Planner):
    """See the module; `brief` is what it was told."""

    def __init__(self, models: tuple[ServedModel, ...], brief: DynamoBrief, context_length_tokens: float) -> None:
        super().__init__(brief)
        self._context_length_tokens = context_length_tokens
        self._models = {model.key: model for model in models}
        found = {model.key: _find_pools(model, brief.by_model[model.key]) for model in models}
        self._pools = {key: pools for key, pools in found.items() if pools is not None}
        self._memories: dict[ModelKey, PlannerMemory] = {}

    def step(self, view: ScraperView) -> Mapping[VariantKey, int]:
        """Return the replicas wanted of both pools of every LLM that has them; see `Decider`."""
        interval_s = self.measure_interval_s(view.now_s)
        wanted: dict[VariantKey, int] = {}
        for key, pools in self._pools.items():
            seen = {pool.key: pool for pool in iterate_pools((self._models[key],), view)}
            prefill = seen.get(pools.prefill.key(Role.PREFILL))
            decode = seen.get(pools.decode.key(Role.DECODE))
            if prefill is None or decode is None:
                continue
            current = Pair(prefill.requested_replicas, decode.requested_replicas)
            memory = self._memories.setdefault(key, PlannerMemory.start(pools.settings))
            readings = (list_told_readings(prefill, view), list_told_readings(decode, view))
            living = {pod.pod for pool in (prefill, decode) for pod in pool.state.pods}
            grown = memory.intervals.track((*readings[0], *readings[1]), living)
            if self.brief.mode is DynamoMode.RATE:
                pair = self._step_rate(pools, current, memory.intervals, _sum_up(readings, grown), interval_s)
            else:
                memory.intervals.remember(_sum_up(readings, grown)[1])
                memory.samples = _sample(memory.samples, readings[1], grown)
                pair = self._step_load(pools, (prefill, decode), current, memory, readings)
            wanted |= {prefill.key: prefill.bound(pair.prefill), decode.key: decode.bound(pair.decode)}
            if pair != current:
                memory.intervals.moved_s = view.now_s
        return wanted

    def _step_rate(
        self, pools: _Pools, current: Pair, memory: Intervals, grown: tuple[Counts, Counts], interval_s: float
    ) -> Pair:
        settings, (prefills, decodes) = pools.settings, grown
        ttft_s, itl_s = find_mean(prefills, Histogram.TTFT), find_mean(decodes, Histogram.ITL)
        inputs, outputs = find_mean(decodes, Histogram.INPUT_TOKENS), find_mean(decodes, Histogram.OUTPUT_TOKENS)
        duration_s = find_mean(decodes, Histogram.TTLT)
        table_p, table_d = pools.prefill_table, pools.decode_table
        if ttft_s is None or itl_s is None or inputs is None or outputs is None or table_p is None or table_d is None:
            return current
        requests = decodes.get(Counter.FINISHED, 0.0)
        for values, value in ((memory.requests, requests), (memory.inputs, inputs), (memory.outputs, outputs)):
            values.append(value)
            del values[:-KEPT_INTERVALS]
        context_tokens = inputs + outputs / 2.0
        in_flight = compute_concurrency(requests, duration_s or 0.0, interval_s, current.decode)
        kv_tokens = pools.decode.performance.kv_capacity_tokens if pools.decode.performance is not None else None
        kv_ratio = in_flight * context_tokens / kv_tokens if kv_tokens else 0.0
        profiled_s = (table_p.find_ttft_s(inputs), table_d.find_itl_s(kv_ratio, context_tokens))
        found = compute_corrections((ttft_s, itl_s), profiled_s, settings.target_itl_s)
        next_requests, next_inputs, next_outputs = (
            max(predict(settings.predictor, seen), 0.0) for seen in (memory.requests, memory.inputs, memory.outputs)
        )
        tokens_per_s = (
            table_p.find_tokens_per_s(next_inputs),
            table_d.find_tokens_per_s(found.target_itl_s, next_inputs + next_outputs / 2.0),
        )
        demand = ProfiledDemand(next_requests, interval_s, next_inputs, next_outputs)
        budget = None if settings.max_accelerators < 0 else settings.max_accelerators
        sizes = PoolSizes(
            pools.prefill.accelerators_per_replica,
            pools.decode.accelerators_per_replica,
            settings.min_replicas,
            budget,
        )
        return Pair(*plan_pools(demand, tokens_per_s, found.prefill_ratio, sizes))

    def _step_load(
        self,
        pools: _Pools,
        seen: tuple[Pool, Pool],
        current: Pair,
        memory: PlannerMemory,
        readings: tuple[tuple[PodReading, ...], tuple[PodReading, ...]],
    ) -> Pair:
        settings, intervals = pools.settings, memory.intervals
        for pool, pages in zip(seen, readings, strict=True):
            is_whole = pool.requested_replicas == len(pool.state.pods) == len(pages)
            if not is_whole or any(page.time_s <= intervals.moved_s for page in pages):
                return current
        lengths = intervals.lengths
        load = None if lengths is None else find_decode_load(readings[1], lengths, pools.decode)
        waiting = [page.gauges.get(Gauge.WAITING_REQUESTS) for page in readings[0]]
        if lengths is None or load is None or any(count is None for count in waiting):
            return current
        queued = tuple((count or 0.0) * lengths.input_tokens for count in waiting)
        if settings.aim is Aim.SLA:
            proposed = _estimate(pools, queued, load, memory)
        else:
            proposed = self._compare(queued, load, settings)
        each = (pools.prefill.accelerators_per_replica, pools.decode.accelerators_per_replica)
        band = (settings.min_accelerators, settings.max_accelerators)
        budget = AcceleratorBudget(*each, *band, settings.min_replicas, settings.min_replicas)
        return guard_pair(current, proposed, budget)[0]

    def _compare(self, queued_tokens: Sequence[float], load: DecodeLoad, settings: PlannerSettings) -> Pair:
        """Return what the thresholds ask for."""
        least = settings.min_replicas
        return Pair(
            step_prefill_easily(queued_tokens, self._context_length_tokens, settings.aim, least),
            step_decode_easily(load, load.max_kv_tokens or 1.0, settings.aim, least),
        )


def _find_pools(model: ServedModel, settings: PlannerSettings) -> _Pools | None:
    by_role = {role: [one for one in model.variants if one.main_role is role] for role in (Role.PREFILL, Role.DECODE)}
    if any(len(variants) != 1 for variants in by_role.values()):
        return None
    prefill, decode = by_role[Role.PREFILL][0], by_role[Role.DECODE][0]
    return _Pools(settings, prefill, decode, sweep_prefill(prefill), sweep_decode(decode), sweep_prefill_law(prefill))


def _sum_up(
    readings: tuple[tuple[PodReading, ...], tuple[PodReading, ...]], grown: Mapping[PodKey, Counts]
) -> tuple[dict[str, float], dict[str, float]]:
    """Return what the counts of both pools grew by."""
    prefills, decodes = (add_counts(grown[page.pod] for page in pool) for pool in readings)
    return prefills, decodes


def _sample(samples: SampleStore, pages: tuple[PodReading, ...], grown: Mapping[PodKey, Counts]) -> SampleStore:
    """Return the store with the iterations of decode engines that `pages` tell of."""
    for page in pages:
        found = sample_decode(page, grown[page.pod])
        samples = samples if found is None else samples.add(found)
    return samples


def _estimate(pools: _Pools, queued_tokens: tuple[float, ...], load: DecodeLoad, memory: PlannerMemory) -> Pair:
    """Return what the estimates ask for: of prefill by the law that was swept, of decode by one fitted to pages."""
    settings, lengths = pools.settings, memory.intervals.lengths
    pair = Pair(len(queued_tokens), len(load.kv_tokens))
    target = LoadSettings(settings.target_ttft_s, settings.sensitivity_ratio, settings.min_replicas)
    if pools.prefill_law is not None and lengths is not None:
        most = pools.prefill.max_batched_tokens
        prefill = PrefillLoad(queued_tokens, lengths.input_tokens, most, lengths.cached_ratio)
        pair = replace(pair, prefill=step_prefill_load(pools.prefill_law, prefill, target).replicas)
    law = fit_decode(memory.samples)
    if law is not None:
        wanted = step_decode_load(law, load, replace(target, target_s=settings.target_itl_s)).replicas
        pair = replace(pair, decode=wanted)
    return pair
