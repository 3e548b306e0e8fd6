"""Saturation V2: supply and demand in KV tokens, with a capacity of replicas that is learned under saturation.

    d  = t + w floor(I)               demand of a replica: tokens in use, and those of the prompts that wait
    P  = median of min(k1, k2)        capacity; k1 = floor(K T), k2 by the first that applies:
         w >= Q: t, remembered;  mean of the ten remembered;  from the engine's arguments;  k1
    required = max(0, D / up - sum (ready + pending) P)       spare = max(0, sum ready P - D / down)

Quirks kept: a saturated reading is remembered at once and changes what readings after it are worth, so that their order
matters; a short burst on an idle cache teaches a tiny capacity; a replica without a KV capacity brings no demand while
its supply stays. It chooses no variant.

Source: llm-d workload-variant-autoscaler b08b1c7 (2026-02-19), token analyzer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from optimizer.policy.saturation.token_capacity import (
    CapacityRecord,
    LearnedFrom,
    derive_compute_capacity_tokens,
)

REMEMBERED = 10
"""Saturated readings that are remembered per LLM, accelerator and output bucket."""
_BYTES_PER_TOKEN = 4.0
_SHORT_TOKENS, _MEDIUM_TOKENS = 100.0, 500.0


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """Thresholds of the peer, with its defaults.

    Attributes
    ----------
    kv_cache_threshold_ratio
        K: share of the KV cache that is planned with [0-1].
    queue_length_threshold_requests
        Q: waiting requests from which a replica is saturated.
    scale_up_threshold_ratio, scale_down_boundary_ratio
        Use of the supply above which more is required and below which there is a spare [0-1].
    """

    kv_cache_threshold_ratio: float = 0.80
    queue_length_threshold_requests: float = 5.0
    scale_up_threshold_ratio: float = 0.85
    scale_down_boundary_ratio: float = 0.70


@dataclass(frozen=True, slots=True)
class TokenReading:
    """What one replica reports.

    Attributes
    ----------
    used_tokens, kv_capacity_tokens
        t and T: KV tokens in use, and those that fit; T is 0 when it was not told.
    waiting_requests
        w.
    input_tokens, output_tokens
        I and O: mean lengths of its requests, 0 when not known.
    cached_ratio
        Share of prompt tokens found in its prefix cache [0-1].
    """

    used_tokens: float
    kv_capacity_tokens: float
    waiting_requests: float
    input_tokens: float = 0.0
    output_tokens: float = 0.0
    cached_ratio: float = 0.0


@dataclass(frozen=True, slots=True)
class TokenVariant:
    """One variant: what it runs on, its replicas that exist and are not ready yet, and those that report."""

    name: str
    accelerator: str
    accelerators_per_replica: int
    current_replicas: int
    pending_replicas: int
    replicas: tuple[TokenReading, ...]


@dataclass(frozen=True, slots=True)
class GatewayQueue:
    """Requests that wait in front of the replicas: how many, and the bytes of their bodies."""

    requests: float
    size_bytes: float


@dataclass(frozen=True, slots=True)
class TokenState:
    """What is learned of one LLM.

    Attributes
    ----------
    records
        Capacity by variant.
    saturated_tokens
        Tokens in use of the newest saturated readings, oldest first, by ``model|accelerator|bucket``.
    """

    records: Mapping[str, CapacityRecord] = field(default_factory=dict)
    saturated_tokens: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TokenAnalysis:
    """Supply, demand and capacity per replica [tokens], `utilization_ratio` of the ready supply, and the signals."""

    capacity_tokens: Mapping[str, float]
    demand_tokens: float
    ready_supply_tokens: float
    anticipated_supply_tokens: float
    utilization_ratio: float
    required_tokens: float
    spare_tokens: float


def step_tokens(
    state: TokenState,
    model_id: str,
    variants: Sequence[TokenVariant],
    settings: TokenSettings,
    queue: GatewayQueue | None = None,
) -> tuple[TokenAnalysis, TokenState]:
    """Return the analysis of one LLM, and what was learned.

    Parameters
    ----------
    state
        Of the cycle before.
    model_id
        Name of the LLM, part of the keys of what is remembered.
    variants
        Every active one, in the order in which their readings are taken.
    settings
        Thresholds.
    queue
        What waits at the gateway, None when nobody says.
    """
    learned = _Learned(model_id, dict(state.records), dict(state.saturated_tokens), settings)
    demand_tokens = 0.0
    capacities: dict[str, list[float]] = {variant.name: [] for variant in variants}
    for variant in variants:
        for reading in variant.replicas:
            if reading.kv_capacity_tokens > 0.0:
                demand_tokens += _compute_demand_tokens(reading)
                capacities[variant.name].append(learned.learn(variant, reading))
    readings = [reading for variant in variants for reading in variant.replicas]
    means = _Means.of(readings)
    demand_tokens += 0.0 if queue is None else _compute_queue_tokens(queue, means)
    by_variant = {
        variant.name: _find_median(capacities[variant.name]) or learned.recall(variant.name, means)
        for variant in variants
    }
    return _weigh(variants, by_variant, demand_tokens, settings), TokenState(learned.records, learned.saturated)


@dataclass(frozen=True, slots=True)
class _Means:
    """Mean lengths [tokens] and cached share over the replicas of an LLM that have served something."""

    input_tokens: float = 0.0
    output_tokens: float = 0.0
    cached_ratio: float = 0.0

    @classmethod
    def of(cls, readings: Iterable[TokenReading]) -> _Means:
        served = [entry for entry in readings if entry.input_tokens > 0.0 or entry.output_tokens > 0.0]
        if not served:
            return cls()
        return cls(
            math.fsum(entry.input_tokens for entry in served) / len(served),
            math.fsum(entry.output_tokens for entry in served) / len(served),
            math.fsum(entry.cached_ratio for entry in served) / len(served),
        )


@dataclass(frozen=True, slots=True)
class _Learned:
    """The capacities and saturated readings while a cycle goes on; its mappings change."""

    model_id: str
    records: dict[str, CapacityRecord]
    saturated: dict[str, tuple[float, ...]]
    settings: TokenSettings

    def learn(self, variant: TokenVariant, reading: TokenReading) -> float:
        """Return the capacity that `reading` shows [tokens], and store it."""
        memory_tokens = math.floor(self.settings.kv_cache_threshold_ratio * reading.kv_capacity_tokens)
        capacity_tokens = float(min(memory_tokens, self._find_compute_tokens(variant, reading, memory_tokens)))
        known = self.records.get(variant.name)
        self.records[variant.name] = CapacityRecord(
            variant.accelerator,
            variant.accelerators_per_replica,
            capacity_tokens,
            reading.kv_capacity_tokens,
            None if known is None else known.engine,
            LearnedFrom.LIVE,
        )
        return capacity_tokens

    def _find_compute_tokens(self, variant: TokenVariant, reading: TokenReading, otherwise_tokens: int) -> float:
        bucket = f"{self.model_id}|{variant.accelerator}|{name_bucket(reading.output_tokens)}"
        is_saturated = reading.waiting_requests >= self.settings.queue_length_threshold_requests
        if is_saturated and reading.used_tokens > 0.0:
            self.saturated[bucket] = (*self.saturated.get(bucket, ()), reading.used_tokens)[-REMEMBERED:]
            return reading.used_tokens
        remembered = self.saturated.get(bucket, ())
        if remembered:
            return math.trunc(math.fsum(remembered) / len(remembered))
        known = self.records.get(variant.name)
        if known is None or known.engine is None or reading.output_tokens <= 0.0:
            return otherwise_tokens
        derived = derive_compute_capacity_tokens(known.engine, reading.input_tokens, reading.output_tokens)
        return derived or otherwise_tokens

    def recall(self, name: str, means: _Means) -> float:
        """Return the capacity of a variant of which no replica reports one [tokens]; 0 when nothing is known."""
        record = self.records.get(name)
        if record is None:
            return 0.0
        if record.learned_from is LearnedFrom.LIVE or record.engine is None:
            return record.capacity_tokens
        derived = derive_compute_capacity_tokens(record.engine, means.input_tokens, means.output_tokens)
        if not derived:
            return float(record.engine.max_batched_tokens)
        bounds = [float(derived)]
        if record.engine.blocks_override > 0 and record.kv_capacity_tokens > 0.0:
            bounds.append(math.floor(self.settings.kv_cache_threshold_ratio * record.kv_capacity_tokens))
        others = (self.records[other] for other in sorted(self.records) if other != name)
        alike = [entry for entry in others if _is_live(entry) and record.is_compatible_with(entry)]
        return min([*bounds, *(entry.capacity_tokens for entry in alike[:1])])


def _is_live(record: CapacityRecord) -> bool:
    return record.learned_from is LearnedFrom.LIVE and record.capacity_tokens > 0.0


def name_bucket(output_tokens: float) -> str:
    """Return the bucket of a mean output length [tokens]."""
    if output_tokens < _SHORT_TOKENS:
        return "short"
    return "medium" if output_tokens < _MEDIUM_TOKENS else "long"


def remember_engine(state: TokenState, name: str, record: CapacityRecord) -> TokenState:
    """Return `state` with the arguments of the engine of `record`; what was learned live of it stays."""
    known = state.records.get(name)
    kept = record if known is None else replace(known, engine=record.engine)
    return replace(state, records={**state.records, name: kept})


def _compute_demand_tokens(reading: TokenReading) -> float:
    waiting_tokens = reading.waiting_requests * math.floor(reading.input_tokens) if reading.input_tokens > 0.0 else 0.0
    return reading.used_tokens + waiting_tokens


def _compute_queue_tokens(queue: GatewayQueue, means: _Means) -> float:
    prompt_tokens = max(queue.size_bytes / _BYTES_PER_TOKEN, queue.requests * means.input_tokens)
    return prompt_tokens * (1.0 - means.cached_ratio) + queue.requests * means.output_tokens


def _find_median(values: list[float]) -> float:
    """Return the median, of an even count the truncated mean of the middle two; 0 for none."""
    if not values:
        return 0.0
    ordered, middle = sorted(values), len(values) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return float(math.trunc((ordered[middle - 1] + ordered[middle]) / 2.0))


def _weigh(
    variants: Sequence[TokenVariant], capacities: Mapping[str, float], demand_tokens: float, settings: TokenSettings
) -> TokenAnalysis:
    ready_tokens = sum((entry.current_replicas - entry.pending_replicas) * capacities[entry.name] for entry in variants)
    all_tokens = sum(entry.current_replicas * capacities[entry.name] for entry in variants)
    return TokenAnalysis(
        capacities,
        demand_tokens,
        ready_tokens,
        all_tokens,
        demand_tokens / ready_tokens if ready_tokens > 0.0 else 0.0,
        max(0.0, demand_tokens / settings.scale_up_threshold_ratio - all_tokens),
        max(0.0, ready_tokens - demand_tokens / settings.scale_down_boundary_ratio),
    )
