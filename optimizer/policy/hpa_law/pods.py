"""What a horizontal pod autoscaler asks for when a metric is given pod by pod: what it makes of pods that say nothing.

Formula (n pods with values of sum S, m without, T target per pod)::

    r = S / (n T);   none without:  current if r in the band, else ceil(r n)
    r < 1:  r' = (S + m T) / ((n + m) T)      those without a value are taken to be right at the target
    r > 1:  r' = S / ((n + m) T)              those without a value are taken to be idle
    current if r' in the band, or r and r' lie on different sides of 1, or ceil(r' (n + m)) goes against r'

It reads no clock, and damps nothing.

Source
------
Kubernetes HPA controller, metrics of type Pods. Sums are exact to a thousandth of the unit here, each value rounded up;
the controller cuts the mean to a thousandth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from optimizer.errors import InvalidInput
from optimizer.policy.hpa_law.law import MOST_REPLICAS


@dataclass(frozen=True, slots=True)
class PodValues:
    """One metric: values of the pods that told, in its unit, and the number of pods that should have."""

    values: Sequence[float]
    missing_pods: int = 0


def propose_by_pods(pods: PodValues, target: float, current: int, tolerance_ratio: float = 0.1) -> int | None:
    """Return what one metric asks for, before bounds and damping [replicas]; None when no pod told anything.

    Parameters
    ----------
    pods
        What was read.
    target
        Mean over the pods to keep, in the unit of the metric, > 0.
    current
        Replicas in ``scale.spec``.
    tolerance_ratio
        Dead band in both directions [0-1].

    Raises
    ------
    InvalidInput
        When the target is below a thousandth of the unit, which is the resolution.
    """
    target_milli = round(1000 * target)
    if target_milli <= 0:
        raise InvalidInput("target", ">= 0.001", target)
    told = len(pods.values)
    if told == 0:
        return None
    total = sum(math.ceil(round(1000 * value, 6)) for value in pods.values)
    ratio = total / (told * target_milli)
    if not pods.missing_pods:
        return current if _is_within(ratio, tolerance_ratio) else _divide_up(total, target_milli)
    total += pods.missing_pods * target_milli if ratio < 1.0 else 0
    adjusted = total / ((told + pods.missing_pods) * target_milli)
    proposal = _divide_up(total, target_milli)
    is_reversed = (ratio < 1.0 < adjusted) or (adjusted < 1.0 <= ratio)
    is_against = (adjusted < 1.0 and proposal > current) or (adjusted > 1.0 and proposal < current)
    return current if _is_within(adjusted, tolerance_ratio) or is_reversed or is_against else proposal


def _is_within(ratio: float, tolerance_ratio: float) -> bool:
    return 1.0 - tolerance_ratio <= ratio <= 1.0 + tolerance_ratio


def _divide_up(total: int, target: int) -> int:
    return min(-(-total // target), MOST_REPLICAS)
