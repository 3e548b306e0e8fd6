"""Fluid model of one replica: how many requests it can decode at once, and the rate that keeps so many busy.

Every limit is a bound on n, the decoding requests, because every one of them gets a token in every iteration, whatever
the iteration takes; no target stands in them, so that capacity never falls when a target is relaxed:

    time (C1)          ITL(n) = d(n) + E[W]*n/(o-1),  rate(n) = n / ((o-1)*ITL(n))
    KV cache (C2)      n*ctx + spare  <= M
    batch (C3)         n + spare      <= B
    token budget (C4)  n * (1 + i/((o-1)*0.9)) <= C

d(n) is the time of a decode iteration, W the work of a prompt. Means may fill a limit; what arrives at random must not:
beyond M the engine throws work away to compute it anew, falls behind, and stays there. So `spare` standard deviations
of n stay free, where n varies like a Poisson number that slows itself down:

    sd(n)^2 = n * E[ctx^2]/E[ctx]^2 / (1-eps) / (1-rho_p)^2,   eps = (d(n)-d(0))/d(n),   rho_p = rate*E[W]

and for KV, whose few long requests weigh most, 1.3*ctx*(E[ctx^2]/E[ctx]^2)^2 besides.

Source: C1-C4 derived; for the linear law they read ``a*rate*E[G] + M*rate*E[w] <= M`` and its like, with
``w = W + b*(o-1) + c*G``. Spare: derived, its two constants fitted to the token-level engine (20 cells with room for
9 to 300 requests: the bound is -37 to +10 % of the rate at which the engine collapses, -10 to +2 % with room for 20).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from optimizer.performance import IterationTime
from optimizer.queueing.mix import RequestMix

_PREFILL_CEILING = 0.9  # share of the token budget that prompts may fill before their queue runs away
_LONG_REQUESTS = 1.3
_LEAST_FILL = 0.05  # share of the places that may be used however few there are
_HALVINGS = 40


@dataclass(frozen=True, slots=True)
class ReplicaLimits:
    """What fits into one replica: KV cache [tokens] (infinite when nobody knows), requests, tokens per iteration."""

    kv_capacity_tokens: float
    max_running_requests: float
    max_batched_tokens: float


@dataclass(frozen=True, slots=True)
class Spare:
    """Standard deviations kept free under the KV cache and under the batch; 0 lets means fill them."""

    kv: float = 4.0
    batch: float = 2.0


@dataclass(frozen=True, slots=True)
class BatchBound:
    """Most decoding requests on average [requests], 0 when not even one fits; and the limit that says so."""

    requests: float
    binding: str


def compute_batch_bound(
    iteration: IterationTime, mix: RequestMix, limits: ReplicaLimits, spare: Spare | None = None
) -> BatchBound:
    """Return the most requests that may decode at once on average."""
    spare = spare or Spare()
    prompts_per_decode = mix.prompt_tokens / (mix.decode_iterations * _PREFILL_CEILING)
    bounds = (
        BatchBound(_fit_kv(iteration, mix, limits.kv_capacity_tokens, spare.kv), "kv"),
        BatchBound(_fit_batch(iteration, mix, limits.max_running_requests, spare.batch), "batch"),
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


def compute_spread_requests(iteration: IterationTime, mix: RequestMix, decoding_requests: float) -> float:
    """Return the standard deviation of the decoding requests around `decoding_requests` n, each alike [requests]."""
    decode_s = iteration.compute_iteration_s(decoding_requests, decoding_requests * mix.context_tokens)
    free = decode_s / compute_fluid_itl_s(iteration, mix, decoding_requests)
    reverting = iteration.compute_iteration_s(0.0, 0.0) / decode_s
    return math.sqrt(decoding_requests / min(reverting, 1.0)) / free


def _fit_kv(iteration: IterationTime, mix: RequestMix, kv_capacity_tokens: float, spare: float) -> float:
    if math.isinf(kv_capacity_tokens) or kv_capacity_tokens < mix.held_tokens:
        return kv_capacity_tokens if math.isinf(kv_capacity_tokens) else 0.0
    places = kv_capacity_tokens / mix.context_tokens
    long_requests = _LONG_REQUESTS * mix.context_square_ratio**2 if spare else 0.0
    return _fit(iteration, mix, places, spare * math.sqrt(mix.context_square_ratio), long_requests)


def _fit_batch(iteration: IterationTime, mix: RequestMix, max_running_requests: float, spare: float) -> float:
    return _fit(iteration, mix, max_running_requests, spare, 0.0)


def _fit(iteration: IterationTime, mix: RequestMix, places: float, spare: float, kept: float) -> float:
    """Return the largest mean n with ``n + spare*sd(n) + kept <= places``, at least a twentieth of `places`."""
    if not spare:
        return places
    low, high = _LEAST_FILL * places, places
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        if middle + spare * compute_spread_requests(iteration, mix, middle) + kept <= places:
            low = middle
        else:
            high = middle
    return low
