"""How many replicas the metrics ask for: one figure out of reports, missing ones and unready replicas. No memory.

For a metric with target T per replica, n reports whose sum is S, m units without a report, U unready replicas:

    r  = S / n / T                        1 counts as "up"; U counts only when r is up
    r' = (S + m T if r is down) / (n + m + U) / T
    d  = ceil(r' (n + m + U))             the present count where |r' - 1| <= tolerance, or where d goes against r'

Source
------
Kthena's autoscaler at 3cc057284c34 (2026-08-21), its recommendation. The rule is one, who calls it differs:

* the peer hands over **one report per target**, the sum over its pods, so n = 1 for a lone target: the tolerance, the
  missing and the unready rule then act as if there were one replica (10 replicas with the load of one stay 10, one
  unready pod blocks shrinking); a target with zero pods is a missing report and stops the others from shrinking;
* our policy hands over one report per pod.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

MOST_REPLICAS = 1_000_000_000
"""Where the rounding saturates [replicas]."""


@dataclass(frozen=True, slots=True)
class MetricReports:
    """What is known at one moment of what is scaled together.

    Attributes
    ----------
    current_replicas
        In ``scale.spec``.
    unready_replicas
        Of them, those that do not serve yet.
    reports
        One mapping per reporting unit: value by metric; a metric that is absent is missing there.
    external
        Values that speak for all replicas together, by metric.
    """

    current_replicas: int
    unready_replicas: int = 0
    reports: tuple[Mapping[str, float], ...] = ()
    external: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MetricRule:
    """What to make of it.

    Attributes
    ----------
    target_metric_per_replica
        Target of each metric, in its own unit per replica.
    min_replicas, max_replicas
        Bounds.
    tolerance_ratio
        Distance from the target that is none [0-1].
    """

    target_metric_per_replica: Mapping[str, float]
    min_replicas: int
    max_replicas: int
    tolerance_ratio: float = 0.1


def recommend(seen: MetricReports, rule: MetricRule) -> int | None:
    """Return the replicas asked for, None when no metric says anything: then nothing is changed or recorded.

    Outside the bounds the nearer bound is the answer, metrics or not.
    """
    bound = find_broken_bound(seen.current_replicas, rule)
    return bound if bound is not None else recommend_by_metrics(seen, rule)


def find_broken_bound(current_replicas: int, rule: MetricRule) -> int | None:
    """Return the bound that `current_replicas` lies outside of, None when it lies within both."""
    if current_replicas < rule.min_replicas:
        return rule.min_replicas
    return rule.max_replicas if current_replicas > rule.max_replicas else None


def recommend_by_metrics(seen: MetricReports, rule: MetricRule) -> int | None:
    """Return the largest count that a metric asks for, within the bounds; None when none says anything."""
    asked = [_ask_metric(seen, name, target, rule) for name, target in rule.target_metric_per_replica.items()]
    said = [count for count in asked if count is not None]
    return min(max(*said, rule.min_replicas), rule.max_replicas) if said else None


def _ask_metric(seen: MetricReports, name: str, target: float, rule: MetricRule) -> int | None:
    current, tolerance_ratio = seen.current_replicas, rule.tolerance_ratio
    if name in seen.external:
        wanted = _divide(seen.external[name], target)
        return current if _is_near(_divide(wanted, current), tolerance_ratio) else _round_up(wanted)
    values = [report[name] for report in seen.reports if name in report]
    if not values:
        return None
    count, missing, total = len(values), len(seen.reports) - len(values), math.fsum(values)
    ratio = _divide(total / count, target)
    unready = seen.unready_replicas if _is_up(ratio) else 0
    if unready <= 0 and missing == 0:
        return current if _is_near(ratio, tolerance_ratio) else _round_up(ratio * count)
    count += missing + unready
    total += 0.0 if _is_up(ratio) else missing * target
    whole_ratio = _divide(total / count, target)
    if _is_near(whole_ratio, tolerance_ratio) or _is_up(ratio) != _is_up(whole_ratio):
        return current
    wanted_replicas = _round_up(whole_ratio * count)
    is_against = wanted_replicas < current if _is_up(whole_ratio) else wanted_replicas > current
    return current if is_against else wanted_replicas


def _is_up(ratio: float) -> bool:
    return ratio >= 1.0


def _is_near(ratio: float, tolerance_ratio: float) -> bool:
    return abs(ratio - 1.0) <= tolerance_ratio


def _divide(value: float, divisor: float) -> float:
    """Return the quotient as floating point has it: by zero infinite, 0 by 0 not a number."""
    if divisor != 0.0:
        return value / divisor
    return math.nan if value == 0.0 or math.isnan(value) else math.copysign(math.inf, value)


def _round_up(value: float) -> int:
    if math.isnan(value):
        return 0
    return max(math.ceil(value), 0) if value < MOST_REPLICAS else MOST_REPLICAS
