"""Dynamo planner, generation 2: one replica more or fewer every few seconds, by estimates or by plain thresholds.

    estimates   up if the estimate of *all* replicas misses the target; down if the load of each, times N / (N - 1),
                leaves room: TTFT(queue N / (N - 1)) - own < (target - own) s, or ITL there < target s, KV < the cache
    thresholds  x = queued prompt tokens / context length,  u = (scheduled + queued KV) / cache
                throughput: up if any x >= 1 or u > 1, down if all x < 0.1 or u < 0.6
                latency:    up if any x >= 0.1 or u > 0.4, down if all x = 0 or u < 0.1

Source: NVIDIA Dynamo, load scaling at 0c6da1ec762c.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from optimizer.policy.dynamo.capacity_models import AggregatedLaw, DecodeLaw, PrefillLaw


class LoadReason(StrEnum):
    """Why a load path answers what it does."""

    UP = "scale_up"
    DOWN = "scale_down"
    REFUSED = "scale_down_refused_consolidation"
    NO_CHANGE = "no_change"


class Aim(StrEnum):
    """What is optimized: it chooses the thresholds, or the estimates of the targets."""

    THROUGHPUT = "throughput"
    LATENCY = "latency"
    SLA = "sla"


@dataclass(frozen=True, slots=True)
class LoadAnswer:
    """Replicas wanted, why, and the estimates of every replica [s]."""

    replicas: int
    reason: LoadReason
    estimates_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class PrefillLoad:
    """Prompts that wait in front of replicas.

    Attributes
    ----------
    queued_tokens
        By replica.
    mean_input_tokens
        Mean prompt.
    max_batched_tokens
        Tokens of one iteration.
    cached_ratio
        Share of prompt tokens found in the cache [0-1].
    """

    queued_tokens: tuple[float, ...]
    mean_input_tokens: float
    max_batched_tokens: int
    cached_ratio: float = 0.0


@dataclass(frozen=True, slots=True)
class DecodeLoad:
    """Contexts that replicas hold or will.

    Attributes
    ----------
    scheduled_kv_tokens, queued_kv_tokens
        By replica.
    mean_context_tokens, mean_batch_requests
        Of one request, and of one replica.
    max_kv_tokens
        What a replica's cache holds, None when not known.
    """

    scheduled_kv_tokens: tuple[float, ...]
    queued_kv_tokens: tuple[float, ...]
    mean_context_tokens: float
    mean_batch_requests: float
    max_kv_tokens: float | None = None

    @property
    def kv_tokens(self) -> tuple[float, ...]:
        """Scheduled and queued tokens by replica."""
        return tuple(map(sum, zip(self.scheduled_kv_tokens, self.queued_kv_tokens, strict=True)))


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """Target of the estimate [s], the share of it that survivors may use [0-1], least replicas."""

    target_s: float
    sensitivity_ratio: float = 0.8
    min_replicas: int = 1


def step_prefill_load(law: PrefillLaw, load: PrefillLoad, settings: LoadSettings) -> LoadAnswer:
    """Return what the estimates of TTFT ask for of prefill replicas."""
    return _step_ttft(lambda tokens: law.compute_ttft_s(tokens, load.max_batched_tokens), load, settings)


def step_decode_load(law: DecodeLaw, load: DecodeLoad, settings: LoadSettings) -> LoadAnswer:
    """Return what the estimates of ITL ask for of decode replicas."""
    return _step_itl(
        lambda factor, tokens: law.compute_itl_s(load.mean_batch_requests * factor, tokens), load, settings
    )


def step_aggregated_load(
    law: AggregatedLaw,
    prefill: PrefillLoad,
    decode: DecodeLoad,
    prefill_settings: LoadSettings,
    decode_settings: LoadSettings,
) -> LoadAnswer:
    """Return what replicas of both roles ask for: up if either side does, down only if both do."""
    kv_tokens = sum(decode.kv_tokens) / max(len(decode.kv_tokens), 1)
    first = _step_ttft(
        lambda tokens: law.compute_ttft_s(tokens, kv_tokens, prefill.max_batched_tokens), prefill, prefill_settings
    )
    second = _step_itl(lambda _, tokens: law.compute_itl_s(0.0, tokens), decode, decode_settings)
    return max((first, second), key=lambda answer: answer.replicas)


def _step_ttft(compute_ttft_s: Callable[[float], float], load: PrefillLoad, settings: LoadSettings) -> LoadAnswer:
    def estimate_s(queued_tokens: float) -> float:
        return compute_ttft_s((queued_tokens + load.mean_input_tokens) * (1.0 - load.cached_ratio))

    own_s, replicas = estimate_s(0.0), len(load.queued_tokens)
    room_s = (settings.target_s - own_s) * settings.sensitivity_ratio
    factor = replicas / (replicas - 1) if replicas > 1 else 1.0
    copes = all(estimate_s(tokens * factor) - own_s < room_s for tokens in load.queued_tokens)
    return _answer(tuple(map(estimate_s, load.queued_tokens)), copes, settings)


def _step_itl(compute_itl_s: Callable[[float, float], float], load: DecodeLoad, settings: LoadSettings) -> LoadAnswer:
    replicas, most_s = len(load.kv_tokens), settings.target_s * settings.sensitivity_ratio
    factor = replicas / (replicas - 1) if replicas > 1 else 1.0

    def copes(tokens: float) -> bool:
        is_held = load.max_kv_tokens is None or tokens * factor < load.max_kv_tokens
        return is_held and compute_itl_s(factor, tokens * factor + load.mean_context_tokens) < most_s

    estimates_s = tuple(compute_itl_s(1.0, tokens + load.mean_context_tokens) for tokens in load.kv_tokens)
    return _answer(estimates_s, all(map(copes, load.kv_tokens)), settings)


def _answer(estimates_s: tuple[float, ...], copes: bool, settings: LoadSettings) -> LoadAnswer:
    replicas = len(estimates_s)
    if estimates_s and all(estimate_s > settings.target_s for estimate_s in estimates_s):
        return LoadAnswer(replicas + 1, LoadReason.UP, estimates_s)
    if replicas <= max(settings.min_replicas, 1):
        return LoadAnswer(replicas, LoadReason.NO_CHANGE, estimates_s)
    if copes:
        return LoadAnswer(replicas - 1, LoadReason.DOWN, estimates_s)
    return LoadAnswer(replicas, LoadReason.REFUSED, estimates_s)


def step_prefill_easily(
    queued_tokens: Sequence[float], context_length_tokens: float, aim: Aim, min_replicas: int = 1
) -> int:
    """Return the prefill replicas that thresholds of the queues ask for."""
    shares = [tokens / context_length_tokens for tokens in queued_tokens]
    if aim is Aim.LATENCY:
        is_up, is_down = any(share >= 0.1 for share in shares), all(share == 0.0 for share in shares)
    else:
        is_up, is_down = any(share >= 1.0 for share in shares), all(share < 0.1 for share in shares)
    return _step(len(shares), is_up, is_down, min_replicas)


def step_decode_easily(load: DecodeLoad, max_kv_tokens: float, aim: Aim, min_replicas: int = 1) -> int:
    """Return the decode replicas that thresholds of the cache ask for; for both roles count queued prompts in."""
    shares = [tokens / max_kv_tokens for tokens in load.kv_tokens]
    most, least = (0.4, 0.1) if aim is Aim.LATENCY else (1.0, 0.6)
    return _step(
        len(shares), any(share > most for share in shares), all(share < least for share in shares), min_replicas
    )


def _step(replicas: int, is_up: bool, is_down: bool, min_replicas: int) -> int:
    if is_up:
        return replicas + 1
    return replicas - 1 if is_down and replicas > max(min_replicas, 1) else replicas
