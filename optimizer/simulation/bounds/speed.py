"""The least work of requests on a replica of known speed: which of the bounds of `work` says most. It knows no time.

Every law that is nowhere above the speed gives a bound, and so does each of the four counts of iterations (batch,
tokens, memory, pace) with each law: the pair that gives the requests the most work is taken. Where speed is a measured
table, laws below all of its points are tried: differences of bilinear functions are least at the corners of a cell, and
beyond the table times grow in proportion. Under a promised pace S a token takes ``S/(S - a)`` times its own part
``b + c*context`` of the law; so for some fixed parts a the largest b and c are looked for, which find the batch at
which an iteration takes S.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy.optimize import linprog

from optimizer.domain import IterationLaw, IterationTable
from optimizer.performance import MeasuredIterationTime
from optimizer.simulation.bounds.asked import AskedRequests, FloatArray, compute_context_read
from optimizer.simulation.bounds.work import ReplicaWork
from optimizer.simulation.limits import EngineLimits
from optimizer.simulation.ticks import NS_PER_S

_SAFETY_RATIO = 1e-6  # times are rounded to ticks in the engine
_FIXED_RATIOS = tuple(share / 10.0 for share in range(1, 10))
"""Fixed parts that are tried under a promised pace, as shares of the shortest iteration."""


def make_replica_work(
    performance: IterationLaw | IterationTable, limits: EngineLimits, requests: AskedRequests
) -> ReplicaWork:
    """Return the work of a replica with this speed that holds this much; `requests` say what is common, no more."""
    if isinstance(performance, IterationLaw):
        laws = [performance]
    else:
        laws = list(_list_laws_below(performance, limits, requests))
    works = [work for law in laws for work in _list_works(_scale_law(law, 1.0 - _SAFETY_RATIO), limits, requests)]
    if not len(requests):
        return works[0]
    return max(works, key=lambda work: math.fsum(work.compute_whole_s(requests).tolist()))


def _list_works(law: IterationLaw, limits: EngineLimits, requests: AskedRequests) -> Iterator[ReplicaWork]:
    """Yield the work by `law` with each count of iterations."""
    # Begun with the count that adds to both kinds of tokens: it is work whatever the only part of the law may be.
    each_s = law.fixed_s / limits.max_batched_tokens
    work = ReplicaWork(
        per_prompt_token_s=law.per_prompt_token_s + each_s,
        per_decode_token_s=law.per_request_s + each_s,
        per_context_token_s=law.per_context_token_s,
        shortest_iteration_s=law.fixed_s + min(law.per_request_s, law.per_prompt_token_s),
        saved_decode_token_s=law.per_request_s,
        saved_context_token_s=law.per_context_token_s,
    )
    yield work
    prompt_s, token_s = law.per_prompt_token_s, law.per_request_s
    by_batch_s = token_s + law.fixed_s / limits.max_running_requests
    yield replace(work, per_prompt_token_s=prompt_s, per_decode_token_s=by_batch_s)
    # The cache, and the newest token of every request, which is not in it yet.
    most_tokens = limits.kv_capacity_tokens + limits.max_running_requests
    by_memory_s = law.per_context_token_s + law.fixed_s / most_tokens
    yield replace(work, per_prompt_token_s=prompt_s, per_decode_token_s=token_s, per_context_token_s=by_memory_s)
    pace_s = _find_pace_s(requests)
    if law.fixed_s < pace_s < math.inf and law.per_request_s + law.per_context_token_s > 0.0:
        yield _make_paced_work(replace(work, per_prompt_token_s=prompt_s, per_decode_token_s=token_s), law, pace_s)


def _make_paced_work(work: ReplicaWork, law: IterationLaw, pace_s: float) -> ReplicaWork:
    """Return `work`, which has nothing of the fixed part, with what of it a pace of `pace_s` [s] makes due."""
    ratio = law.fixed_s / (pace_s - law.fixed_s)
    paced_s, context_s = law.per_request_s * ratio, law.per_context_token_s * ratio
    return replace(
        work,
        per_paced_token_s=paced_s,
        per_paced_context_token_s=context_s,
        saved_decode_token_s=law.per_request_s + 2.0 * paced_s,
        saved_context_token_s=law.per_context_token_s + 2.0 * context_s,
    )


def _find_pace_s(requests: AskedRequests) -> float:
    """Return the slowest pace that is promised to any request [s], and what it is rounded by; infinite without any."""
    promised_s = requests.itl_s[np.isfinite(requests.itl_s) & (requests.decode_tokens > 0.0)]
    return float(promised_s.max()) + 1.0 / NS_PER_S if len(promised_s) else math.inf


def _list_laws_below(table: IterationTable, limits: EngineLimits, requests: AskedRequests) -> Iterator[IterationLaw]:
    """Yield laws nowhere above `table`: the heaviest for the limits, and those for the pace by their fixed part."""
    prompt, decode = _mean(requests.prompt_tokens), _mean(requests.decode_tokens)
    read = _mean(compute_context_read(requests.input_tokens, requests.decode_tokens))
    iterations = max(
        decode / limits.max_running_requests,
        (decode + prompt) / limits.max_batched_tokens,
        read / (limits.kv_capacity_tokens + limits.max_running_requests),
    )
    yield fit_law_below(table, iterations=iterations, decode_tokens=decode, context_read=read)
    pace_s, shortest_s = _find_pace_s(requests), min(min(row) for row in table.decode_s)
    beside = _mean(requests.decode_tokens * requests.input_tokens)
    for fixed_s in (ratio * shortest_s for ratio in _FIXED_RATIOS):
        if fixed_s < pace_s < math.inf:
            ratio = fixed_s / (pace_s - fixed_s)
            tokens, context = decode * (1.0 + ratio), read + ratio * beside
            yield fit_law_below(
                table, iterations=iterations, decode_tokens=tokens, context_read=context, fixed_s=fixed_s
            )


def fit_law_below(
    table: IterationTable,
    *,
    iterations: float,
    decode_tokens: float,
    context_read: float,
    fixed_s: float | None = None,
) -> IterationLaw:
    """Return the linear law that is nowhere above `table` and gives a request with these counts the most work.

    Parameters
    ----------
    table
        Measured times.
    iterations, decode_tokens, context_read
        What a request takes of iterations (a share of them), tokens, and token-iterations.
    fixed_s
        The fixed part of the law, where it is given [s].
    """
    points = [
        (1.0, batch, batch * context, time_s)
        for batch, row in zip(table.batches, table.decode_s, strict=True)
        for context, time_s in zip(table.contexts_tokens, row, strict=True)
    ]
    # Scaled to the largest point, and with a trace of weight on each coefficient, so that the answer is unique enough.
    scales = np.array([1.0, max(table.batches), max(table.batches) * max(table.contexts_tokens)])
    rows = np.array([point[:3] for point in points]) / scales
    gains = np.array([iterations, decode_tokens, context_read]) / scales
    bounds = [(0.0, None) if fixed_s is None else (fixed_s, fixed_s), (0.0, None), (0.0, None)]
    result = linprog(-gains, A_ub=rows, b_ub=np.array([point[3] for point in points]), bounds=bounds)
    fixed, per_request_s, per_context_s = (np.maximum(np.asarray(result.x), 0.0) / scales).tolist()
    measured = MeasuredIterationTime(table)
    per_prompt_s = min(measured.compute_prefill_work_s(tokens) / tokens for tokens in table.prompts_tokens)
    law = IterationLaw(fixed, per_request_s, per_context_s, per_prompt_s)
    excess = max(
        (law.fixed_s + law.per_request_s * batch + law.per_context_token_s * context) / time_s
        for _, batch, context, time_s in points
    )
    return replace(_scale_law(law, min(1.0, 1.0 / excess)), per_prompt_token_s=per_prompt_s)


def _scale_law(law: IterationLaw, ratio: float) -> IterationLaw:
    """Return the law by which every iteration takes `ratio` times as long."""
    return IterationLaw(
        law.fixed_s * ratio, law.per_request_s * ratio, law.per_context_token_s * ratio, law.per_prompt_token_s * ratio
    )


def _mean(values: FloatArray) -> float:
    return float(np.cumsum(values)[-1]) / len(values) if len(values) else 0.0
