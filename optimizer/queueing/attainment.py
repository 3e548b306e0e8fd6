"""Share of requests that meet a target at an operating point, per quantity. It inverts nothing and knows no classes.

TTFT: a prompt waits with probability rho, then exponentially; a tail summed over prompt lengths i

    P(T > t) = E_i[ P(wait > t - s(i) - 5/4*d) ],   P(wait > y) = rho * exp(-y*rho/E[wait])

ITL (mean of one request): for outputs o, decode time and prompts met while decoding are both random; their sum beyond
the time a = d(1) of a lone iteration is taken as gamma distributed with

    mean      (d + rho_p*T/(o-1)) / (1-rho_p) - a
    variance  [ rate*E[W^2]*(T + D)/(o-1)^2 + ((d-a)^2/n * r^2 * g / (1-eps) / (1-rho_p)^2 + own) ] / (1-rho_p)^2

D is its decoding time; n varies like a Poisson number that reverts to its mean, more slowly the more it slows itself
down (eps = (d-a)/d, and rho_p as in `room`); r^2 = E[ctx^2]/E[ctx]^2; g = 2*(u-1+exp(-u))/u^2 with u = (1-eps)*D/E[D]
is what averaging over D leaves; own = (r^2-1)*(c*ctx)^2 is the request's own context. No iteration is longer than
d + W(C): the mean stays below, and so does the variance that prompts cause (Bhatia and Davis). Where few requests meet
any prompt, that distribution is too smooth: at least those miss that meet one long enough by itself.
TTLT: T + (o-1)*ITL, per o, gamma distributed with the sum of both means and variances.

Source: derived, variance times 1.4 for the safe side. The rate at which 95 % keep an ITL target, against the token-
level engine, was -13 to +3 % in 27 cells with outputs of 150 tokens or more, -21 to -11 % in 9 with outputs of 28.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincc

from optimizer.performance import IterationTime
from optimizer.queueing.fluid import ReplicaLimits
from optimizer.queueing.lengths import FloatArray
from optimizer.queueing.mix import RequestMix
from optimizer.queueing.operating_point import OperatingPoint

_ITERATION_SHARE = 1.25  # iterations between arrival and first token beyond wait and service: 1/2 to 3/2
_SAFE_SIDE = 1.4  # on the variance of ITL: what the two moments leave unseen
_TINY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class _OutputClass:
    """Per output length of two tokens or more: decode iterations, mean ITL and its variance, shares of all requests."""

    iterations: FloatArray
    itl_mean_s: FloatArray
    itl_variance_s2: FloatArray
    weights: FloatArray


def compute_ttft_attainment(mix: RequestMix, limits: ReplicaLimits, point: OperatingPoint, target_s: float) -> float:
    """Return the share of requests with a TTFT of at most `target_s` [s], the server's overhead not counted."""
    slack_s = target_s - _compute_services_s(mix, limits, point) - _ITERATION_SHARE * point.decode_s
    tail = np.where(slack_s >= 0.0, _compute_wait_tail(point, np.maximum(slack_s, 0.0)), 1.0)
    return 1.0 - float(mix.weights @ tail)


def compute_itl_attainment(
    iteration: IterationTime, mix: RequestMix, limits: ReplicaLimits, point: OperatingPoint, target_s: float
) -> float:
    """Return the share of requests with a mean ITL of at most `target_s` [s]; those of one token count as met."""
    outputs, lone_s = _describe_outputs(iteration, mix, limits, point)
    if not outputs.iterations.size:
        return 1.0
    tail = _compute_gamma_tail(target_s - lone_s, outputs.itl_mean_s - lone_s, outputs.itl_variance_s2)
    tail = np.maximum(tail, _compute_single_hit_tail(mix, point, outputs, target_s))
    return 1.0 - float(outputs.weights @ tail)


def compute_ttlt_attainment(
    iteration: IterationTime, mix: RequestMix, limits: ReplicaLimits, point: OperatingPoint, target_s: float
) -> float:
    """Return the share of requests with a TTLT of at most `target_s` [s], the server's overhead not counted."""
    outputs, _ = _describe_outputs(iteration, mix, limits, point)
    single = 1.0 - float(outputs.weights.sum())
    missed = single * (1.0 - compute_ttft_attainment(mix, limits, point, target_s)) if single > 0.0 else 0.0
    services_s = _compute_services_s(mix, limits, point)
    ttft_variance_s2 = float(mix.weights @ services_s**2) - float(mix.weights @ services_s) ** 2
    ttft_variance_s2 += point.wait_s**2 * (2.0 / max(point.prefill_load_ratio, _TINY) - 1.0)
    mean_s = point.ttft_s + outputs.iterations * outputs.itl_mean_s
    variance_s2 = ttft_variance_s2 + outputs.iterations**2 * outputs.itl_variance_s2
    tail = _compute_gamma_tail(np.full_like(mean_s, target_s), mean_s, variance_s2)
    return 1.0 - missed - float(outputs.weights @ tail)


def _compute_single_hit_tail(
    mix: RequestMix, point: OperatingPoint, outputs: _OutputClass, target_s: float
) -> FloatArray:
    """Return the probability, per output length, of meeting a prompt that alone lifts the ITL above `target_s` [s]."""
    slack_s = max(target_s - point.decode_s, 0.0) * outputs.iterations
    too_long = (mix.work_s > slack_s[:, None]) @ mix.weights
    exposed_s = point.ttft_s + outputs.iterations * outputs.itl_mean_s
    return np.asarray(-np.expm1(-point.rate_per_s * exposed_s * too_long))


def _compute_services_s(mix: RequestMix, limits: ReplicaLimits, point: OperatingPoint) -> FloatArray:
    """Return the service time of each prompt of the grid [s]."""
    per_token_s = point.decode_s / (limits.max_batched_tokens - point.decoding_requests)
    return mix.work_s + per_token_s * mix.prompts_tokens


def _compute_wait_tail(point: OperatingPoint, wait_s: FloatArray) -> FloatArray:
    """Return the probability of waiting longer than each of `wait_s` [s]."""
    load = point.prefill_load_ratio
    return load * np.exp(-wait_s * load / max(point.wait_s, _TINY))


def _describe_outputs(
    iteration: IterationTime, mix: RequestMix, limits: ReplicaLimits, point: OperatingPoint
) -> tuple[_OutputClass, float]:
    """Return the distribution of the ITL per output length, and the time of a lone iteration [s]."""
    several = mix.outputs.points_tokens >= 1.5
    iterations = mix.outputs.points_tokens[several] - 1.0
    decode_s, free = point.decode_s, 1.0 - point.prompt_share_ratio
    lone_s = min(iteration.compute_iteration_s(1.0, mix.context_tokens), decode_s)
    longest_s = iteration.compute_prefill_work_s(limits.max_batched_tokens - point.decoding_requests)
    delay_s = (decode_s + point.prompt_share_ratio * point.ttft_s / iterations) / free - decode_s
    delay_s = np.minimum(delay_s, longest_s)
    mean_s = decode_s + delay_s
    duration_s = iterations * mean_s
    met = point.rate_per_s * mix.mean_square_work_s2 * (point.ttft_s + duration_s) / (iterations * free) ** 2
    met = np.minimum(met, delay_s * (longest_s - delay_s))
    growth_s = decode_s - lone_s
    reverting = 1.0 - growth_s / decode_s
    typical_s = mix.decode_iterations * point.itl_s
    spread = growth_s**2 / max(point.decoding_requests, _TINY) * mix.context_square_ratio / reverting / free**2
    batch = spread * _compute_averaging(reverting * duration_s / typical_s)
    own = (lone_s - iteration.compute_iteration_s(1.0, 0.0)) ** 2 * (mix.context_square_ratio - 1.0)
    variance_s2 = _SAFE_SIDE * (met + (batch + own) / free**2)
    return _OutputClass(iterations, mean_s, variance_s2, mix.outputs.weights[several]), lone_s


def _compute_averaging(ratio: FloatArray) -> FloatArray:
    """Return what is left of the variance of an exponentially correlated signal averaged over `ratio` of its memory."""
    u = np.maximum(ratio, 1e-3)
    return np.asarray(2.0 * (u - 1.0 + np.exp(-u)) / (u * u))


def _compute_gamma_tail(value: FloatArray | float, mean: FloatArray, variance: FloatArray) -> FloatArray:
    """Return P(Y > value) of gamma distributed Y; 1 below zero."""
    mean = np.maximum(mean, math.sqrt(_TINY))
    variance = np.maximum(variance, _TINY)
    tail = gammaincc(mean * mean / variance, np.maximum(value, 0.0) * mean / variance)
    return np.where(np.asarray(value) > 0.0, tail, 1.0)
