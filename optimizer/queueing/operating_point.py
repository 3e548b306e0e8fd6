"""The state a replica settles in at a rate: prompts delay tokens, tokens delay prompts. Means only; no targets.

With W the work of a prompt, n decoding requests, C the token budget, and d = d(n+1) the time of a decode iteration as
a request meets it, which finds n others and is one more itself:

    rho_p = rate*E[W]                    share of time that prompts take
    s     = W + d*i/(C-n)                service of a prompt, rho = rate*E[s]
    T     = rate*E[s^2]/(2*(1-rho)) + E[s] + d
    ITL   = min(d + W(C), (d + rho_p*T/(o-1)) / (1-rho_p))
    n     = rate*(o-1)*ITL

The middle term of ITL: prompts that arrive while a request waits are computed during *its* decode. The fluid mean
cannot see it; for outputs below 200 tokens it is 20-70 % optimistic, this form within some 10 %.

Source: derived (M/G/1 by Pollaczek and Khinchine for the prompts).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.optimize import brentq

from optimizer.performance import IterationTime
from optimizer.queueing.fluid import ReplicaLimits
from optimizer.queueing.mix import RequestMix

_TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Means of a replica at `rate_per_s` [1/s].

    Attributes
    ----------
    rate_per_s
        Arrivals.
    decoding_requests
        n.
    decode_s
        Time of an iteration without prompt tokens, as a request meets it [s].
    prompt_share_ratio
        rho_p.
    prefill_load_ratio
        rho, < 1.
    wait_s
        Of a prompt for those before it [s].
    ttft_s, itl_s, ttlt_s
        Means [s], without the server's overhead.
    """

    rate_per_s: float
    decoding_requests: float
    decode_s: float
    prompt_share_ratio: float
    prefill_load_ratio: float
    wait_s: float
    ttft_s: float
    itl_s: float
    ttlt_s: float


def solve_operating_point(
    iteration: IterationTime, mix: RequestMix, limits: ReplicaLimits, max_decoding: float, rate_per_s: float
) -> OperatingPoint | None:
    """Return the state at `rate_per_s` [1/s], None when no state with at most `max_decoding` requests carries it."""

    def compute_excess(decoding: float) -> float:
        point = _compute_point(iteration, mix, limits, decoding, rate_per_s)
        return (point.decoding_requests if point else math.inf) - decoding

    if rate_per_s * mix.mean_work_s >= 1.0 or not compute_excess(max_decoding) <= 0.0:
        return None
    decoding = float(brentq(compute_excess, 0.0, max_decoding, xtol=1e-12, rtol=_TOLERANCE))
    return _compute_point(iteration, mix, limits, decoding, rate_per_s)


def _compute_point(
    iteration: IterationTime, mix: RequestMix, limits: ReplicaLimits, decoding: float, rate_per_s: float
) -> OperatingPoint | None:
    """Return the means that `decoding` requests would cause (their number too), None when prompts cannot keep up."""
    budget = limits.max_batched_tokens - decoding
    decode_s = iteration.compute_iteration_s(decoding + 1.0, (decoding + 1.0) * mix.context_tokens)
    if budget <= 0.0:
        return None
    per_token_s = decode_s / budget
    service_s = mix.mean_work_s + per_token_s * mix.prompt_tokens
    load = rate_per_s * service_s
    if load >= 1.0:
        return None
    wait_s = rate_per_s * _compute_square_service_s2(mix, per_token_s) / (2.0 * (1.0 - load))
    ttft_s = wait_s + service_s + decode_s
    prompt_share = rate_per_s * mix.mean_work_s
    itl_s = (decode_s + prompt_share * ttft_s / mix.decode_iterations) / (1.0 - prompt_share)
    itl_s = min(itl_s, decode_s + iteration.compute_prefill_work_s(budget))
    decode_total_s = mix.decode_iterations * itl_s
    return OperatingPoint(
        rate_per_s,
        rate_per_s * decode_total_s,
        decode_s,
        prompt_share,
        load,
        wait_s,
        ttft_s,
        itl_s,
        ttft_s + decode_total_s,
    )


def _compute_square_service_s2(mix: RequestMix, per_token_s: float) -> float:
    """Return E[s^2] of ``s = W + i*per_token_s`` [s^2]."""
    return (
        mix.mean_square_work_s2
        + 2.0 * per_token_s * mix.mean_work_prompt_s_tokens
        + per_token_s * per_token_s * mix.prompt_square_tokens2
    )
