"""Replicas by how much of their promise latencies use up: the rule that KEDA follows in the llm-d guides.

Formula (N asked for, R ready; every 60 s)::

    s = max(P90 TTFT / its target, P90 TPOT / its target) over the last minute, 0 where nothing was seen, at most 2
    e = 0.6 s + 0.4 e                                D = e R / N while 0 < R < N, else e
    D > 0.55:  ceil(N D / 0.55);     else e < 0.40:  ceil(N e / 0.40);     else N;     then within the bounds

Quirk kept: a minute without a sample counts as no latency at all, so that a lost scrape looks like an idle fleet. The
peer takes latencies that a model predicts; those here are the measured ones, which come later. It measures nothing.

Source
------
llm-d Workload Variant Autoscaler, latency-ratio policy (pull request 1376), and its KEDA form in the llm-d guides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class LatencySettings:
    """Everything that is set, as published.

    Attributes
    ----------
    period_s
        Time between two steps [s]; also the span that latencies are taken over.
    percentile_ratio
        Quantile of the latencies (0-1).
    most_ratio
        Latencies are cut at so many times their target.
    newest_weight_ratio
        Weight of the newest sample in the mean (0-1].
    up_ratio, down_ratio
        Ratio that is aimed at when growing, and below which it shrinks.
    """

    period_s: float = 60.0
    percentile_ratio: float = 0.9
    most_ratio: float = 2.0
    newest_weight_ratio: float = 0.6
    up_ratio: float = 0.55
    down_ratio: float = 0.40


def compute_latency_ratio(
    ttft_s: float | None, ttft_target_s: float | None, itl_s: float | None, itl_target_s: float | None
) -> float:
    """Return the larger ratio of latency to target; what is absent, or promised to nobody, counts as 0."""
    pairs = ((ttft_s, ttft_target_s), (itl_s, itl_target_s))
    return max([0.0, *(value / target for value, target in pairs if value is not None and target)])


def step_latency_ratio(
    mean_ratio: float, ratio: float, *, ready: int, requested: int, settings: LatencySettings
) -> tuple[int, float]:
    """Return the replicas wanted, before bounds, and the next mean.

    Parameters
    ----------
    mean_ratio
        The mean after the step before, 0 at first.
    ratio
        Latency over target in the last period, see `compute_latency_ratio`.
    ready, requested
        Replicas that serve, and in ``scale.spec``.
    settings
        As published.
    """
    weight_ratio = settings.newest_weight_ratio
    mean_ratio = weight_ratio * min(ratio, settings.most_ratio) + (1.0 - weight_ratio) * mean_ratio
    demand_ratio = mean_ratio * ready / requested if 0 < ready < requested else mean_ratio
    if demand_ratio > settings.up_ratio:
        return _round_up(requested * demand_ratio / settings.up_ratio), mean_ratio
    if mean_ratio < settings.down_ratio:
        return _round_up(requested * mean_ratio / settings.down_ratio), mean_ratio
    return requested, mean_ratio


def _round_up(replicas: float) -> int:
    return math.ceil(replicas * (1.0 - _ROUNDING))
