"""Dynamo's planner over a pair of pools in a simulated cluster: one variant prefills, one decodes.

``rate`` is generation 1: every 180 s, out of tables and of observed TTFT, ITL, lengths and ended requests; nothing
moves while any of that is missing. ``load`` is generation 2 with its thresholds: every 5 s one replica of either pool
more or fewer, inside the band of accelerators. LLMs without a pair are left alone. It sees pages, never the truth.

Source: NVIDIA Dynamo, planner core at 07619258a49d, load scaling at 0c6da1ec762c, budget at 15a72ce9d401.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from optimizer.domain import (
    Counter,
    Gauge,
    Histogram,
    ModelKey,
    PodKey,
    PodReading,
    Role,
    ServedModel,
    SignalSpec,
    Variant,
    VariantKey,
)
from optimizer.policy.dynamo import (
    AcceleratorBudget,
    DecodeLoad,
    DecodeTable,
    Pair,
    PlannerSettings,
    PoolSizes,
    PrefillTable,
    ProfiledDemand,
    check_planner,
    compute_concurrency,
    compute_corrections,
    guard_pair,
    plan_pools,
    predict,
    step_decode_easily,
    step_prefill_easily,
)
from optimizer.simulation.decider import ScraperView
from optimizer.simulation.deciders.dynamo import KEPT_INTERVALS, DynamoMode, DynamoShipped
from optimizer.simulation.deciders.dynamo_tables import sweep_decode, sweep_prefill
from optimizer.simulation.deciders.page_counts import Counts, add_counts, find_mean, read_counts, subtract_counts
from optimizer.simulation.deciders.pools import Pool, iterate_pools, list_told_readings

CONTEXT_LENGTH_TOKENS = 8192.0
"""Longest context of an LLM, which queued prompts are measured by where nobody says another [tokens]."""


def make_dynamo_pools(
    models: tuple[ServedModel, ...],
    mode: DynamoMode = DynamoMode.RATE,
    settings: PlannerSettings | None = None,
    context_length_tokens: float = CONTEXT_LENGTH_TOKENS,
    shipped: DynamoShipped | None = None,
) -> DynamoPoolsDecider:
    """Return the scaler with the peer's defaults, or with `settings` for its mode.

    Raises
    ------
    InvalidInput
        When the peer would refuse the settings.
    """
    usual = shipped or DynamoShipped()
    chosen = settings or (usual.rate if mode is DynamoMode.RATE else usual.load)
    check_planner(chosen)
    return DynamoPoolsDecider(models, mode, chosen, context_length_tokens)


@dataclass(frozen=True, slots=True)
class _Pools:
    """The pair of one LLM, with its tables where they could be made."""

    prefill: Variant
    decode: Variant
    prefill_table: PrefillTable | None
    decode_table: DecodeTable | None


@dataclass(slots=True)
class _Memory:
    """Of one LLM: counts of the pages of the last decision, and the intervals seen."""

    pages: dict[PodKey, Counts] = field(default_factory=dict)
    requests: list[float] = field(default_factory=list)
    inputs: list[float] = field(default_factory=list)
    outputs: list[float] = field(default_factory=list)
    moved_s: float = 0.0


class DynamoPoolsDecider:
    """See the module."""

    def __init__(
        self,
        models: tuple[ServedModel, ...],
        mode: DynamoMode,
        settings: PlannerSettings,
        context_length_tokens: float,
    ) -> None:
        self._mode, self._settings, self._context_length_tokens = mode, settings, context_length_tokens
        self._models = {model.key: model for model in models}
        found = {model.key: _find_pools(model) for model in models}
        self._pools = {key: pools for key, pools in found.items() if pools is not None}
        self._memories: dict[ModelKey, _Memory] = {}
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
        """Return the replicas wanted of both pools of every LLM that has them; see `Decider`."""
        interval_s = self.period_s if self._decided_s is None else view.now_s - self._decided_s
        self._decided_s = view.now_s
        wanted: dict[VariantKey, int] = {}
        for key, pools in self._pools.items():
            seen = {pool.key: pool for pool in iterate_pools((self._models[key],), view)}
            prefill = seen.get(pools.prefill.key(Role.PREFILL))
            decode = seen.get(pools.decode.key(Role.DECODE))
            if prefill is None or decode is None:
                continue
            current = Pair(prefill.requested_replicas, decode.requested_replicas)
            memory = self._memories.setdefault(key, _Memory())
            readings = (list_told_readings(prefill, view), list_told_readings(decode, view))
            grown = _track(memory, readings, {pod.pod for pool in (prefill, decode) for pod in pool.state.pods})
            if self._mode is DynamoMode.RATE:
                pair = self._step_rate(pools, current, memory, grown, interval_s)
            else:
                pair = self._step_load(pools, (prefill, decode), current, memory, readings)
            wanted |= {prefill.key: prefill.bound(pair.prefill), decode.key: decode.bound(pair.decode)}
            if pair != current:
                memory.moved_s = view.now_s
        return wanted

    def _step_rate(
        self, pools: _Pools, current: Pair, memory: _Memory, grown: tuple[Counts, Counts], interval_s: float
    ) -> Pair:
        settings, (prefills, decodes) = self._settings, grown
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
        memory: _Memory,
        readings: tuple[tuple[PodReading, ...], tuple[PodReading, ...]],
    ) -> Pair:
        settings = self._settings
        for pool, pages in zip(seen, readings, strict=True):
            is_whole = pool.requested_replicas == len(pool.state.pods) == len(pages)
            if not is_whole or any(page.time_s <= memory.moved_s for page in pages):
                return current
        inputs = find_mean(add_counts(memory.pages.values()), Histogram.INPUT_TOKENS)
        load = None if inputs is None else _find_load(readings[1], inputs, pools.decode)
        waiting = [page.gauges.get(Gauge.WAITING_REQUESTS) for page in readings[0]]
        if inputs is None or load is None or any(count is None for count in waiting):
            return current
        queued = [(count or 0.0) * inputs for count in waiting]
        least = settings.min_replicas
        proposed = Pair(
            step_prefill_easily(queued, self._context_length_tokens, settings.aim, least),
            step_decode_easily(load, load.max_kv_tokens or 1.0, settings.aim, least),
        )
        each = (pools.prefill.accelerators_per_replica, pools.decode.accelerators_per_replica)
        band = (settings.min_accelerators, settings.max_accelerators)
        return guard_pair(current, proposed, AcceleratorBudget(*each, *band, least, least))[0]


def _find_pools(model: ServedModel) -> _Pools | None:
    by_role = {role: [one for one in model.variants if one.main_role is role] for role in (Role.PREFILL, Role.DECODE)}
    if any(len(variants) != 1 for variants in by_role.values()):
        return None
    prefill, decode = by_role[Role.PREFILL][0], by_role[Role.DECODE][0]
    return _Pools(prefill, decode, sweep_prefill(prefill), sweep_decode(decode))


def _track(
    memory: _Memory, readings: tuple[tuple[PodReading, ...], tuple[PodReading, ...]], living: set[PodKey]
) -> tuple[dict[str, float], dict[str, float]]:
    """Return what the counts of both pools grew by since the last decision."""
    pages = [{page.pod: read_counts(page) for page in pool} for pool in readings]
    grown = [
        add_counts(subtract_counts(counts, memory.pages.get(pod, {})) for pod, counts in part.items()) for part in pages
    ]
    kept = {pod: counts for pod, counts in memory.pages.items() if pod in living}
    memory.pages = {**kept, **pages[0], **pages[1]}
    return grown[0], grown[1]


def _find_load(pages: tuple[PodReading, ...], input_tokens: float, variant: Variant) -> DecodeLoad | None:
    """Return the contexts held and queued by decode replicas, None when a page or the cache does not tell."""
    usual = None if variant.performance is None else variant.performance.kv_capacity_tokens
    found = []
    for page in pages:
        size = page.gauges.get(Gauge.KV_CAPACITY_TOKENS, usual)
        share, waiting = page.gauges.get(Gauge.KV_CACHE_RATIO), page.gauges.get(Gauge.WAITING_REQUESTS)
        if not size or share is None or waiting is None:
            return None
        found.append((size * share, waiting * input_tokens, size))
    if not found:
        return None
    held, queued, sizes = zip(*found, strict=True)
    return DecodeLoad(tuple(held), tuple(queued), input_tokens, 0.0, min(sizes))
