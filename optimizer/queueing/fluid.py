"""Fluid model of one replica: how many requests it can decode at once, and the rate that keeps so many busy.

Every limit is a bound on n, the decoding requests, because every one of them gets a token in every iteration, whatever
the iteration takes; no target stands in them, so that capacity never falls when a target is relaxed:

    time (C1)          ITL(n) = d(n) + E[W]*n/(o-1),  rate(n) = n / ((o-1)*ITL(n))
    KV cache (C2)      n * ctx <= M
    batch (C3)         n <= B
    token budget (C4)  n * (1 + i/((o-1)*0.9)) <= C

d(n) is the time of a decode iteration, W the work of a prompt. Means may fill these limits; what arrives at random
needs room besides: see `room`.

Source: derived; for the linear law they read ``a*rate*E[G] + M*rate*E[w] <= M`` and its like, with
``w = W + b*(o-1) + c*G``.
"""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.performance import IterationTime
from optimizer.queueing.mix import RequestMix

_PREFILL_CEILING = 0.9  # share of the token budget that prompts may fill before their queue runs away


@dataclass(frozen=True, slots=True)
class ReplicaLimits:
    """What fits into one replica: KV cache [tokens] (infinite when nobody knows), requests, tokens per iteration."""

    kv_capacity_tokens: float
    max_running_requests: float
    max_batched_tokens: float


@dataclass(frozen=True, slots=True)
class BatchBound:
    """Most decoding requests on average [requests], 0 when not even one fits; and the limit that says so."""

    requests: float
    binding: str


def compute_batch_bound(mix: RequestMix, limits: ReplicaLimits) -> BatchBound:
    """Return the most requests that may decode at once on average."""
    prompts_per_decode = mix.prompt_tokens / (mix.decode_iterations * _PREFILL_CEILING)
    fits_one = limits.kv_capacity_tokens >= mix.held_tokens
    bounds = (
        BatchBound(limits.kv_capacity_tokens / mix.context_tokens if fits_one else 0.0, "kv"),
        BatchBound(limits.max_running_requests, "batch"),
        BatchBound(limits.max_batched_tokens / (1.0 + prompts_per_decode), "token_budget"),
    )
    return min(bounds, key=lambda bound: bound.requests)


def compute_fluid_itl_s(iteration: IterationTime, mix: RequestMix, decoding_requests: float) -> float:
    """Return the mean time between tokens [s] while `decoding_requests` n decode."""
    decode_s = iteration.compute_iteration_s(decoding_requests, decoding_requests * mix.context_tokens)
    return decode_s + mix.mean_work_s * decoding_requests / mix.decode_iterations


def compute_fluid_rate_per_s(iteration: IterationTime, mix: RequestMix, decoding_requests: float) -> float:
    """Return the rate [1/s] that keeps `decoding_requests` n decoding."""
    return decoding_requests / (mix.decode_iterations * compute_fluid_itl_s(iteration, mix, decoding_requests))
