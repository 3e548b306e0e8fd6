"""Room that must stay free under the KV cache and the batch, because requests arrive at random. Knows no targets.

Beyond its KV cache the engine throws work away to compute it anew, falls behind, and stays there; so mean and spread of
what is held must fit:

    n*ctx + 4*sd*ctx*r + 1.3*ctx*r^4 <= M,   r^2 = E[ctx^2]/E[ctx]^2    (few long requests weigh most: the last term)
    n + 2*sd <= B                                                      (beyond it requests wait, no work is lost)
    sd^2 = n / (1-eps) / (1-rho_p)^2,   eps = (d-d(1))/d

n varies like a Poisson number that slows itself down (eps), the more so since a burst of prompts halts decoding.

Source: derived; the constants 4 and 1.3 fitted to the rate at which the token-level engine collapses, in 20 cells with
room for 9 to 300 requests: -37 to +10 %, with room for 20 or more -10 to +2 %.
"""

from __future__ import annotations

import math

from optimizer.performance import IterationTime
from optimizer.queueing.fluid import ReplicaLimits
from optimizer.queueing.mix import RequestMix
from optimizer.queueing.operating_point import OperatingPoint

_KV_DEVIATIONS = 4.0
_BATCH_DEVIATIONS = 2.0
_LONG_REQUESTS = 1.3
_LEAST_FILL_RATIO = 0.05  # of the cache that may be used however few requests fit


def find_crowded(iteration: IterationTime, mix: RequestMix, limits: ReplicaLimits, point: OperatingPoint) -> str:
    """Return the limit, ``kv`` or ``batch``, that leaves too little room at `point`, "" when both leave enough."""
    lone_s = min(iteration.compute_iteration_s(1.0, mix.context_tokens), point.decode_s)
    decoding = point.decoding_requests
    spread = math.sqrt(decoding * point.decode_s / lone_s) / (1.0 - point.prompt_share_ratio)
    places = limits.kv_capacity_tokens / mix.context_tokens
    long_requests = _LONG_REQUESTS * mix.context_square_ratio**2
    used = decoding + _KV_DEVIATIONS * spread * math.sqrt(mix.context_square_ratio) + long_requests
    if used > places and decoding > _LEAST_FILL_RATIO * places:
        return "kv"
    return "batch" if decoding + _BATCH_DEVIATIONS * spread > limits.max_running_requests else ""
