"""Saturation V1: one replica more or fewer, by the spare KV cache and queue of the replicas that are not saturated.

It plans nothing and remembers nothing; what was asked for last is part of the observation.

    saturated <=> u >= K or w >= Q;    sk = mean(K - u), sq = mean(Q - w) over the n that are not, of all variants
    up        <=> sk < k or sq < q
    down safe <=> n >= 2 and K - (K - sk) f >= k and Q - (Q - sq) f >= q,    f = n / (n - 1)

Quirks kept, since this is the peer as it is: the load of saturated replicas is left out of the means, so that a fleet
with a few drowning pods may shrink; one long queue blocks shrinking; a variant without any reporting pod escapes the
test of transition; a count that was asked for and never reached freezes the whole LLM.

Source: llm-d workload-variant-autoscaler b08b1c7 (2026-02-19), percentage analyzer and its target rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PercentageSettings:
    """Thresholds of the peer, with its defaults.

    Attributes
    ----------
    kv_cache_threshold_ratio
        K: KV cache in use from which a replica is saturated [0-1].
    queue_length_threshold_requests
        Q: waiting requests from which it is.
    kv_spare_trigger_ratio, queue_spare_trigger_requests
        k and q: mean spare below which a replica is added.
    """

    kv_cache_threshold_ratio: float = 0.80
    queue_length_threshold_requests: float = 5.0
    kv_spare_trigger_ratio: float = 0.1
    queue_spare_trigger_requests: float = 3.0


@dataclass(frozen=True, slots=True)
class ReplicaLoad:
    """What one replica reports: KV cache in use [0-1] and requests waiting in its engine."""

    kv_cache_ratio: float
    waiting_requests: float


@dataclass(frozen=True, slots=True)
class PercentageVariant:
    """One variant as the analyzer sees it.

    Attributes
    ----------
    name
        Its name; ties are broken by it.
    cost
        Price of one replica, in any unit.
    current_replicas
        Replicas in the status of its workload.
    desired_replicas
        What was asked for last; 0 means that nothing was yet.
    pending_replicas
        Those of `current_replicas` that are not ready.
    replicas
        Those that report.
    """

    name: str
    cost: float
    current_replicas: int
    desired_replicas: int
    pending_replicas: int
    replicas: tuple[ReplicaLoad, ...]


@dataclass(frozen=True, slots=True)
class PercentageAnalysis:
    """What the analyzer saw and wants.

    Attributes
    ----------
    total_replicas, non_saturated_replicas
        How many report, and how many of them are not saturated.
    mean_spare_kv_ratio, mean_spare_queue_requests
        Over those that are not saturated; 0 when there is none.
    is_scale_up, is_scale_down_safe, is_in_transition
        The three findings.
    target_replicas
        By name of the variant; only variants with a reporting pod, but all of them when no pod of the LLM reports.
    """

    total_replicas: int
    non_saturated_replicas: int
    mean_spare_kv_ratio: float
    mean_spare_queue_requests: float
    is_scale_up: bool
    is_scale_down_safe: bool
    is_in_transition: bool
    target_replicas: Mapping[str, int]


def analyze_percentages(variants: Sequence[PercentageVariant], settings: PercentageSettings) -> PercentageAnalysis:
    """Return the findings over all `variants` of one LLM, and their targets; without any report all stay."""
    loads = [load for variant in variants for load in variant.replicas]
    if not loads:
        kept = {variant.name: variant.current_replicas for variant in variants}
        return PercentageAnalysis(0, 0, 0.0, 0.0, False, False, False, kept)
    calm = [load for load in loads if not _is_saturated(load, settings)]
    spare_kv_ratio, spare_requests = _compute_mean_spare(calm, settings)
    is_scale_up = (
        spare_kv_ratio < settings.kv_spare_trigger_ratio or spare_requests < settings.queue_spare_trigger_requests
    )
    is_safe = _is_scale_down_safe(len(calm), spare_kv_ratio, spare_requests, settings)
    reporting = [variant for variant in variants if variant.replicas]
    is_in_transition = any(_is_moving(variant) for variant in reporting)
    if is_in_transition:
        targets = {variant.name: _get_awaited_replicas(variant) for variant in reporting}
    else:
        targets = _step_targets(reporting, is_scale_up, is_safe)
    return PercentageAnalysis(
        len(loads), len(calm), spare_kv_ratio, spare_requests, is_scale_up, is_safe, is_in_transition, targets
    )


def _is_saturated(load: ReplicaLoad, settings: PercentageSettings) -> bool:
    return (
        load.kv_cache_ratio >= settings.kv_cache_threshold_ratio
        or load.waiting_requests >= settings.queue_length_threshold_requests
    )


def _compute_mean_spare(calm: Sequence[ReplicaLoad], settings: PercentageSettings) -> tuple[float, float]:
    """Return the mean spare KV cache [0-1] and queue [requests] of those not saturated; 0 for none."""
    if not calm:
        return 0.0, 0.0
    kv_ratio = sum(settings.kv_cache_threshold_ratio - load.kv_cache_ratio for load in calm)
    requests = sum(settings.queue_length_threshold_requests - load.waiting_requests for load in calm)
    return kv_ratio / len(calm), requests / len(calm)


def _is_scale_down_safe(
    replicas: int, spare_kv_ratio: float, spare_requests: float, settings: PercentageSettings
) -> bool:
    """Return whether the mean load, spread over one replica fewer, leaves the spare that is asked for."""
    if replicas < 2:
        return False
    factor = replicas / (replicas - 1)
    most_kv_ratio, most_requests = settings.kv_cache_threshold_ratio, settings.queue_length_threshold_requests
    return (
        most_kv_ratio - (most_kv_ratio - spare_kv_ratio) * factor >= settings.kv_spare_trigger_ratio
        and most_requests - (most_requests - spare_requests) * factor >= settings.queue_spare_trigger_requests
    )


def _is_moving(variant: PercentageVariant) -> bool:
    is_awaited = variant.desired_replicas not in (0, variant.current_replicas)
    return is_awaited or len(variant.replicas) != variant.current_replicas


def _get_awaited_replicas(variant: PercentageVariant) -> int:
    return variant.desired_replicas or variant.current_replicas


def _step_targets(reporting: Sequence[PercentageVariant], is_scale_up: bool, is_safe: bool) -> dict[str, int]:
    """Return the reporting pods of each variant, with one more on the cheapest or one fewer on the dearest."""
    targets = {variant.name: len(variant.replicas) for variant in reporting}
    if is_scale_up:
        settled = [variant for variant in reporting if variant.pending_replicas == 0]
        if settled:
            targets[min(settled, key=lambda variant: (variant.cost, variant.name)).name] += 1
    elif is_safe:
        shrinkable = [variant for variant in reporting if targets[variant.name] > 1]
        if shrinkable:
            targets[max(shrinkable, key=lambda variant: (variant.cost, variant.name)).name] -= 1
    return targets
