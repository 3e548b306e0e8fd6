"""Dynamo planner, generation 1: prefill and decode pools out of profiles, corrected by what is observed.

    P = ceil(n I / interval * min(1, c_p) / throughput_p / g_p),    c_p = observed TTFT / profiled TTFT
    D = ceil(n O / interval / throughput_d / g_d),    throughput_d at the ITL target / c_d,  c_d likewise of ITL
    over budget B:  P = max(min, round(P B / total)),  D = max(min, round((B - P g_p) / g_d))

Quirks kept: overload (c_p > 1) never adds prefill, prefix hits (c_p < 1) take it away; rounding, half to even, may
exceed the budget; of a row of the decode profile the highest feasible cell wins even past one that is not.

Source: NVIDIA Dynamo, planner core at 07619258a49d.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProfiledDemand:
    """What is forecast of the next interval: requests, mean lengths [tokens], and its length [s]."""

    requests: float
    interval_s: float
    input_tokens: float
    output_tokens: float


@dataclass(frozen=True, slots=True)
class PoolSizes:
    """What a replica of each pool occupies, the least replicas of each, and the budget; None for no budget."""

    prefill_accelerators: int = 1
    decode_accelerators: int = 1
    min_replicas: int = 1
    budget_accelerators: int | None = 8


@dataclass(frozen=True, slots=True)
class Corrections:
    """Observed over profiled latency of both pools, and the ITL target that follows [s]."""

    prefill_ratio: float
    decode_ratio: float
    target_itl_s: float


def compute_corrections(
    observed_s: tuple[float, float], profiled_s: tuple[float, float], target_itl_s: float
) -> Corrections:
    """Return the corrections; the pairs are TTFT and ITL [s]. A decode ratio that is not positive keeps the target."""
    prefill_ratio, decode_ratio = (seen / told for seen, told in zip(observed_s, profiled_s, strict=True))
    target_s = target_itl_s / decode_ratio if decode_ratio > 0.0 else target_itl_s
    return Corrections(prefill_ratio, decode_ratio, target_s)


def compute_concurrency(requests: float, duration_s: float, interval_s: float, decode_replicas: int) -> float:
    """Return the mean requests in a decode replica, each of them there for `duration_s` [s], by Little's law."""
    return requests / max(decode_replicas, 1) * duration_s / interval_s


def scan_decode_row(itl_s: Sequence[float], target_itl_s: float) -> int:
    """Return the index of the highest cell within the target, scanned from above; the first when there is none."""
    return next((index for index in reversed(range(len(itl_s))) if itl_s[index] <= target_itl_s), 0)


def plan_pools(
    demand: ProfiledDemand,
    tokens_per_s: tuple[float, float],
    prefill_correction_ratio: float,
    sizes: PoolSizes,
) -> tuple[int, int]:
    """Return prefill and decode replicas; `tokens_per_s` are those of prefill and decode per accelerator [1/s]."""
    inputs_per_s = demand.requests * demand.input_tokens / demand.interval_s * min(1.0, prefill_correction_ratio)
    outputs_per_s = demand.requests * demand.output_tokens / demand.interval_s
    prefill = math.ceil(inputs_per_s / tokens_per_s[0] / sizes.prefill_accelerators)
    decode = math.ceil(outputs_per_s / tokens_per_s[1] / sizes.decode_accelerators)
    return round_to_budget(max(prefill, sizes.min_replicas), max(decode, sizes.min_replicas), sizes)


def round_to_budget(prefill: int, decode: int, sizes: PoolSizes) -> tuple[int, int]:
    """Return the replicas scaled to the budget by rounding, which may exceed it."""
    total = prefill * sizes.prefill_accelerators + decode * sizes.decode_accelerators
    budget = sizes.budget_accelerators
    if budget is None or total <= budget:
        return prefill, decode
    prefill = max(sizes.min_replicas, round(prefill * budget / total))
    left = budget - prefill * sizes.prefill_accelerators
    return prefill, max(sizes.min_replicas, round(left / sizes.decode_accelerators))
