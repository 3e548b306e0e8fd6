"""What Dynamo's planner sweeps before deployment, out of the performance model of a variant. It scales nothing.

The peer measures an engine in a sweep of its own; here the model that our own policy plans with stands in for it, so
that every scaler knows a fleet equally well.
"""

from __future__ import annotations

from optimizer.domain import Variant
from optimizer.performance import IterationTime, to_iteration_time
from optimizer.policy.dynamo import (
    AggregatedLaw,
    DecodePoint,
    DecodeTable,
    IterationSample,
    PrefillLaw,
    PrefillTable,
    SampleStore,
    fit_aggregated,
    fit_prefill,
)

_STEPS = 8
_MOST_CONTEXT_TOKENS = 32768.0
_INPUT_TOKENS = tuple(float(2**power) for power in range(6, 16))


def sweep_aggregated(variant: Variant, context_tokens: float) -> AggregatedLaw | None:
    """Return the law of iterations of an engine of both roles, its requests holding `context_tokens` each."""
    time = _find_time(variant)
    if time is None:
        return None
    store = SampleStore()
    most_requests = _count_requests(variant, context_tokens)
    for requests in _spread(most_requests):
        for prefill_tokens in (variant.max_batched_tokens * step / (_STEPS - 1) for step in range(_STEPS)):
            kv_tokens = requests * context_tokens
            time_s = time.compute_iteration_s(requests, kv_tokens, prefill_tokens)
            store = store.add(IterationSample((prefill_tokens, kv_tokens), time_s))
    return fit_aggregated(store)


def sweep_prefill(variant: Variant) -> PrefillTable | None:
    """Return TTFT and throughput of a prefill engine that computes one prompt after the other."""
    time = _find_time(variant)
    if time is None:
        return None
    ttfts_s = [_compute_prefill_s(time, variant, tokens) for tokens in _INPUT_TOKENS]
    tokens_per_s = [
        tokens / ttft_s / variant.accelerators_per_replica
        for tokens, ttft_s in zip(_INPUT_TOKENS, ttfts_s, strict=True)
    ]
    return PrefillTable(_INPUT_TOKENS, ttfts_s, tokens_per_s)


def sweep_prefill_law(variant: Variant) -> PrefillLaw | None:
    """Return the law of iterations of a prefill engine."""
    time = _find_time(variant)
    if time is None:
        return None
    store = SampleStore()
    for tokens in (variant.max_batched_tokens * step / _STEPS for step in range(1, _STEPS + 1)):
        store = store.add(IterationSample((tokens,), time.compute_iteration_s(0.0, 0.0, tokens)))
    return fit_prefill(store)


def sweep_decode(variant: Variant) -> DecodeTable | None:
    """Return ITL and throughput of a decode engine; None where its cache is not known either."""
    time = _find_time(variant)
    kv_tokens = None if variant.performance is None else variant.performance.kv_capacity_tokens
    if time is None or kv_tokens is None:
        return None
    points = []
    for context_tokens in (_MOST_CONTEXT_TOKENS / 2**step for step in range(_STEPS)):
        for kv_ratio in (step / (_STEPS - 1) for step in range(_STEPS)):
            requests = max(kv_ratio * kv_tokens / context_tokens, 1.0)
            itl_s = time.compute_iteration_s(requests, requests * context_tokens, 0.0)
            tokens_per_s = requests / itl_s / variant.accelerators_per_replica
            points.append(DecodePoint(kv_ratio, context_tokens, itl_s, tokens_per_s))
    return DecodeTable(points)


def _find_time(variant: Variant) -> IterationTime | None:
    return None if variant.performance is None else to_iteration_time(variant.performance)


def _count_requests(variant: Variant, context_tokens: float) -> int:
    kv_tokens = None if variant.performance is None else variant.performance.kv_capacity_tokens
    held = variant.max_running_requests if kv_tokens is None else int(kv_tokens / max(context_tokens, 1.0))
    return max(min(variant.max_running_requests, held), 1)


def _spread(most: int) -> list[float]:
    return [most * (step + 1) / _STEPS for step in range(_STEPS)]


def _compute_prefill_s(time: IterationTime, variant: Variant, tokens: float) -> float:
    whole, rest = divmod(tokens, variant.max_batched_tokens)
    total_s = whole * time.compute_iteration_s(0.0, 0.0, variant.max_batched_tokens) if whole else 0.0
    return total_s + (time.compute_iteration_s(0.0, 0.0, rest) if rest else 0.0)
