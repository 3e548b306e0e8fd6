"""One cycle of the peer over one LLM: analyze, enforce zero, limit. It publishes nothing, and calms nothing.

Only *active* variants take part, those whose workload has replicas. V1 is followed by the limiter, where free devices
are known to it; V2 chooses by price. Quirks kept: supply counts every replica that is ready or pending, demand only
those that report; a reading without KV cache or queue is 0; a variant that stands at zero is grown by no analyzer.

Source: llm-d workload-variant-autoscaler b08b1c7 (2026-02-19), saturation engine; bounds of a scaler as in release 0.9.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optimizer.domain import Variant, VariantKey
from optimizer.policy.saturation import (
    GrowthAsk,
    PercentageVariant,
    PricedVariant,
    ReplicaLoad,
    SaturationOptions,
    SaturationVersion,
    TokenReading,
    TokenState,
    TokenVariant,
    analyze_percentages,
    choose_replicas,
    enforce_zero,
    limit_growth,
    remember_engine,
    step_tokens,
    to_record,
)


@dataclass(frozen=True, slots=True)
class PodFigures:
    """What a pod reported: peaks of the last minute, its cache, and mean lengths; 0 where it does not tell."""

    kv_cache_ratio: float
    waiting_requests: float
    kv_capacity_tokens: float = 0.0
    input_tokens: float = 0.0
    output_tokens: float = 0.0


@dataclass(frozen=True, slots=True)
class PeerLine:
    """One variant with its workload.

    Attributes
    ----------
    key, variant, cost_per_hour
        Which one, and the price of a replica.
    bounds
        Least and most replicas of its scaler.
    current_replicas, ready_replicas
        In the status of its workload.
    desired_replicas
        What was published last; 0 before anything was.
    pods
        Those that report.
    """

    key: VariantKey
    variant: Variant
    bounds: tuple[int, int]
    cost_per_hour: float
    current_replicas: int
    ready_replicas: int
    desired_replicas: int
    pods: tuple[PodFigures, ...]

    @property
    def name(self) -> str:
        """Its name."""
        return self.variant.name

    @property
    def pending_replicas(self) -> int:
        """Replicas of its workload that are not ready."""
        return max(self.current_replicas - self.ready_replicas, 0)


@dataclass(frozen=True, slots=True)
class PeerCall:
    """What else a cycle is told.

    Attributes
    ----------
    model_id
        Name of the LLM.
    may_be_zero
        Whether the LLM may go to zero.
    retained_requests
        Requests served over the retention period; None when nobody could tell.
    free_accelerators
        Devices that are free, by accelerator, for the limiter; None where it is off.
    """

    model_id: str
    may_be_zero: bool = False
    retained_requests: float | None = None
    free_accelerators: Mapping[str, int] | None = None


def step_peer(
    lines: Sequence[PeerLine], call: PeerCall, tokens: TokenState, options: SaturationOptions
) -> tuple[dict[str, int], TokenState]:
    """Return the targets of the active ones of `lines` by name, and what was learned; {} when no pod reports."""
    active = [line for line in lines if line.current_replicas > 0]
    if not any(line.pods for line in active):
        return {}, tokens
    targets = {line.name: line.desired_replicas or line.current_replicas for line in active}
    if options.version is SaturationVersion.V1:
        targets |= analyze_percentages([_to_percentages(line) for line in active], options.percentage).target_replicas
    else:
        for line in lines:
            tokens = remember_engine(tokens, line.name, to_record(line.variant))
        analysis, tokens = step_tokens(tokens, call.model_id, [_to_tokens(line) for line in active], options.token)
        priced = [_price(line, analysis.capacity_tokens[line.name]) for line in active]
        targets |= choose_replicas(priced, analysis.required_tokens, analysis.spare_tokens)
    targets = {line.name: min(max(targets[line.name], line.bounds[0]), line.bounds[1]) for line in active}
    costs = {line.name: line.cost_per_hour for line in active}
    targets, _ = enforce_zero(targets, costs, may_be_zero=call.may_be_zero, retained_requests=call.retained_requests)
    if options.version is SaturationVersion.V1 and call.free_accelerators is not None:
        asks = [_ask(line, targets[line.name], options) for line in active]
        grants, _ = limit_growth(asks, call.free_accelerators)
        targets = {name: grant.target_replicas for name, grant in grants.items()}
    return targets, tokens


def _to_percentages(line: PeerLine) -> PercentageVariant:
    loads = tuple(ReplicaLoad(pod.kv_cache_ratio, pod.waiting_requests) for pod in line.pods)
    return PercentageVariant(
        line.name, line.cost_per_hour, line.current_replicas, line.desired_replicas, line.pending_replicas, loads
    )


def _to_tokens(line: PeerLine) -> TokenVariant:
    readings = tuple(
        TokenReading(
            math.floor(pod.kv_cache_ratio * pod.kv_capacity_tokens + 0.5),
            pod.kv_capacity_tokens,
            pod.waiting_requests,
            pod.input_tokens,
            pod.output_tokens,
        )
        for pod in line.pods
    )
    variant = line.variant
    return TokenVariant(
        line.name,
        variant.accelerator,
        variant.accelerators_per_replica,
        line.current_replicas,
        line.pending_replicas,
        readings,
    )


def _price(line: PeerLine, capacity_tokens: float) -> PricedVariant:
    return PricedVariant(line.name, line.cost_per_hour, line.current_replicas, capacity_tokens, *line.bounds)


def _ask(line: PeerLine, target_replicas: int, options: SaturationOptions) -> GrowthAsk:
    own = analyze_percentages([_to_percentages(line)], options.percentage)
    return GrowthAsk(
        line.name,
        line.variant.accelerator,
        line.variant.accelerators_per_replica,
        line.current_replicas,
        target_replicas,
        own.mean_spare_kv_ratio,
        line.cost_per_hour,
    )
