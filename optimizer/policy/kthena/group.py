"""Variants that are scaled together: what their pods report, what is recommended, and what of it may be done now.

    1  every pod that serves is one report; one that does not tell a metric is missing there, and nothing else
    2  the metrics recommend a count, see `optimizer.policy.kthena.recommend`
    3  panic, if the metrics ask for it and something runs; rate limits and windows, see `...correct`
    4  the count becomes replicas by variant, see `...capacity`

Unlike the peer it hands over one report per pod, records what was recommended whatever became of it, and starts no
panic because a bound was raised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from optimizer.domain import PodSignals, Reason, ReasonCode, VariantKey
from optimizer.policy.kthena.blocks import GroupTarget
from optimizer.policy.kthena.capacity import distribute_capacity
from optimizer.policy.kthena.checks import get_max_replicas
from optimizer.policy.kthena.correct import Memory, Span, correct
from optimizer.policy.kthena.options import KthenaOptions, Metric
from optimizer.policy.kthena.recommend import MetricReports, MetricRule, find_broken_bound, recommend_by_metrics
from optimizer.policy.protocol import VariantView

INFINITE_IN_TARGETS = 10.0
"""What a quantile above the last edge of its histogram counts as, in multiples of its target."""


@dataclass(frozen=True, slots=True)
class Group:
    """Variants that are scaled together.

    Attributes
    ----------
    name
        By which it is remembered.
    lines
        The variants, at least one.
    metrics
        By which it is scaled.
    min_replicas, max_replicas
        Bounds over all of them.
    weights
        What a replica of each is good for [1/s], or any figure in proportion to it.
    """

    name: str
    lines: tuple[VariantView, ...]
    metrics: tuple[Metric, ...]
    min_replicas: int
    max_replicas: int
    weights: Mapping[VariantKey, float]

    @property
    def current_replicas(self) -> int:
        """What was published of it."""
        return sum(line.published_replicas for line in self.lines)

    @property
    def published(self) -> dict[VariantKey, int]:
        """The same by variant."""
        return {line.key: line.published_replicas for line in self.lines}


@dataclass(frozen=True, slots=True)
class Recommended:
    """A recommendation, and whether metrics made it rather than a bound."""

    replicas: int
    is_from_metrics: bool


def recommend_group(
    group: Group, signals: Sequence[PodSignals], silent_s: float, tolerance_ratio: float
) -> Recommended | None:
    """Return what is recommended for `group`, None when no metric says anything.

    `silent_s` is for how long it is known that nothing was asked [s]: then a quantile of nothing is 0.
    """
    targets = {metric.name: metric.target_metric for metric in group.metrics}
    rule = MetricRule(targets, group.min_replicas, group.max_replicas, tolerance_ratio)
    bound = find_broken_bound(group.current_replicas, rule)
    if bound is not None:
        return Recommended(bound, False)
    keys = set(group.published)
    reports = tuple(_report(entry, group.metrics, silent_s) for entry in signals if entry.variant in keys)
    unready = sum(max(line.published_replicas - line.state.ready_replicas, 0) for line in group.lines)
    asked = recommend_by_metrics(MetricReports(group.current_replicas, unready, reports), rule)
    return None if asked is None else Recommended(asked, True)


def _report(pod: PodSignals, metrics: Sequence[Metric], silent_s: float) -> dict[str, float]:
    values = ((metric, _read_value(pod, metric, silent_s)) for metric in metrics)
    return {metric.name: value for metric, value in values if value is not None}


def _read_value(pod: PodSignals, metric: Metric, silent_s: float) -> float | None:
    """Return the value of `metric` at `pod`, None when it does not tell."""
    window_s = metric.quantile_window_s
    if window_s is not None and silent_s >= window_s:
        return 0.0
    total = 0.0
    for signal in metric.signals:
        seen = pod.values.get(signal.name)
        if seen is None or seen.value is None:
            return None
        total += seen.value
    return total if isfinite(total) else INFINITE_IN_TARGETS * metric.target_metric


def correct_group(
    group: Group, recommended: Recommended, memory: Memory, now_s: float, options: KthenaOptions
) -> tuple[int, Memory]:
    """Return the count of `group` that may be asked for at `now_s` [s], and what to remember."""
    behavior, current = options.behavior, group.current_replicas
    is_wanted = recommended.is_from_metrics and current > 0
    if is_wanted and 100 * recommended.replicas >= current * behavior.panic.threshold_percent:
        memory = memory.refresh_panic(behavior, now_s)
    span = Span(group.min_replicas, group.max_replicas, current)
    corrected = correct(recommended.replicas, span, behavior, memory, now_s)
    return corrected, memory.record(recommended.replicas, corrected, now_s)


def spread_group(group: Group, count: int, cost_expansion_ratio: float) -> tuple[dict[VariantKey, int], Reason | None]:
    """Return `count` replicas like those at present as replicas by variant, and what they do not cover."""
    if len(group.lines) == 1:
        return {group.lines[0].key: count}, None
    targets = [
        GroupTarget(
            line.key.variant,
            line.replica_cost_per_hour,
            line.variant.min_replicas,
            max(get_max_replicas(line.variant), line.variant.min_replicas),
            group.weights[line.key],
        )
        for line in group.lines
    ]
    need_per_s = count * _get_mean_weight(group)
    plan = distribute_capacity(need_per_s, targets, round(100.0 * cost_expansion_ratio))
    replicas = {line.key: plan.replicas[line.key.variant] for line in group.lines}
    if plan.is_covered:
        return replicas, None
    text = f"the bounds of {group.name} leave {sum(replicas.values())} replicas, as many as {count} of now are needed"
    return replicas, Reason(ReasonCode.SHORTAGE, text)


def _get_mean_weight(group: Group) -> float:
    """Return what one replica is good for at present [1/s]; that of the first variant when none runs."""
    current = group.current_replicas
    if current == 0:
        return group.weights[group.lines[0].key]
    return sum(group.weights[key] * count for key, count in group.published.items()) / current
