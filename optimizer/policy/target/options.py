"""Options of the policy ``target``: metrics with their targets, and how steps are damped. It proposes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from optimizer.domain import SignalSpec
from optimizer.policy.hpa_law import (
    DEFAULT_DOWN,
    DEFAULT_TOLERANCE_RATIO,
    DEFAULT_UP,
    Behavior,
    PolicyType,
    ScalingRules,
    StepPolicy,
)
from optimizer.policy.metric_options import LONGEST_WINDOW_S, read_metric
from optimizer.policy.options import OptionReader

LONGEST_PERIOD_S = 1800.0


@dataclass(frozen=True, slots=True)
class TargetMetric:
    """One metric.

    Attributes
    ----------
    signal
        What is read of every pod: name, series, labels, kind, window.
    target
        Mean over the pods of a variant to keep, in the unit of the series (or per second), >= 0.001.
    tolerance_ratio
        Dead band around it, in both directions [0-1).
    """

    signal: SignalSpec
    target: float
    tolerance_ratio: float = DEFAULT_TOLERANCE_RATIO


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """Everything that is set.

    Attributes
    ----------
    metrics
        At least one; the one that asks for most counts.
    behavior
        Windows and step limits; the HPA's own where nothing is set: up by 4 or 100 % in 15 s at once, down after 300 s.
    """

    metrics: tuple[TargetMetric, ...]
    behavior: Behavior = field(default_factory=Behavior)


def decode_target_options(options: Mapping[str, object]) -> TargetOptions:
    """Return what ``policy_options`` say.

    Raises
    ------
    InvalidOptions
        When anything is wrong: it names everything.
    """
    reader = OptionReader(options)
    readers = reader.mappings("metrics", is_required=True)
    metrics = tuple(_decode_metric(entry) for entry in readers)
    if reader.has("metrics") and not readers:
        reader.refuse("metrics", "a list of at least one metric", options["metrics"])
    names = [metric.signal.name for metric in metrics]
    for index, name in enumerate(names):
        if name in names[:index]:
            reader.refuse(f"metrics[{index}].name", "unique", name)
    behavior = Behavior(
        _decode_rules(reader.mapping("scale_up"), DEFAULT_UP), _decode_rules(reader.mapping("scale_down"), DEFAULT_DOWN)
    )
    reader.finish()
    return TargetOptions(metrics, behavior)


def _decode_metric(reader: OptionReader) -> TargetMetric:
    signal = read_metric(reader)
    target = reader.number("target", 1.0, at_least=0.001, is_required=True)
    tolerance_ratio = reader.number("tolerance", DEFAULT_TOLERANCE_RATIO, at_least=0.0, below=1.0)
    return TargetMetric(signal, target, tolerance_ratio)


def _decode_rules(reader: OptionReader, default: ScalingRules) -> ScalingRules:
    window_s = reader.duration_s(
        "stabilization_window", default.stabilization_window_s, at_least=0.0, at_most=LONGEST_WINDOW_S
    )
    select = reader.choice("select", default.select)
    policies = tuple(_decode_step_policy(entry) for entry in reader.mappings("policies"))
    return ScalingRules(policies or default.policies, select, window_s)


def _decode_step_policy(reader: OptionReader) -> StepPolicy:
    kind = PolicyType(reader.text("type", "Pods", one_of=tuple(PolicyType), is_required=True))
    value = reader.count("value", 1, at_least=1, is_required=True)
    return StepPolicy(kind, value, reader.duration_s("period", 15.0, at_least=1.0, at_most=LONGEST_PERIOD_S))
