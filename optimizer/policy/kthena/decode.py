"""The options of the policy ``kthena`` are read out of plain values and checked against the LLM. It decides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from optimizer.domain import Role, ServedModel
from optimizer.policy.kthena.behavior import Behavior, PanicRule, RateLimit, Select
from optimizer.policy.kthena.checks import check_model
from optimizer.policy.kthena.options import (
    CapacitySource,
    KthenaOptions,
    Metric,
    RatioConstraint,
    TargetKind,
)
from optimizer.policy.kthena.ratio import RatioRule
from optimizer.policy.metric_options import read_metric_sum
from optimizer.policy.option_problems import find_near
from optimizer.policy.options import OptionReader

LONGEST_PERIOD_S = 1800.0
"""Longest window of any kind [s]."""
_ROLES = (Role.PREFILL, Role.DECODE)
_SELECTS = (Select.OR.value, Select.AND.value)
_OF_GROUPS = ("capacity_per_s", "cost_expansion_ratio")
"""Options that spread a group over its variants."""
_STAND_IN = Metric("", 1.0, ())
"""Stands where metrics are given and all are refused, so that none is told to be missing."""


def decode_options(options: Mapping[str, object], model: ServedModel | None = None) -> KthenaOptions:
    """Return the options, checked against `model` if there is one that has variants.

    Raises
    ------
    InvalidOptions
        When anything is not valid: it names everything that is not.
    """
    reader = OptionReader(options)
    capacity_source, capacity_per_s = _read_capacities(reader)
    target = _read_target(reader)
    decoded = KthenaOptions(
        metrics=_read_metrics(reader),
        role_metrics=_read_roles(reader.mapping("roles")),
        target=target,
        tolerance_ratio=reader.number("tolerance_ratio", 0.1, at_least=0.0, at_most=1.0),
        behavior=_read_behavior(reader.mapping("behavior")),
        cost_expansion_ratio=reader.number("cost_expansion_ratio", 2.0, at_least=0.0),
        capacity_source=capacity_source,
        capacity_per_s=capacity_per_s,
        ratio_constraint=_read_ratio(reader),
    )
    if model is not None and model.variants:
        check_model(reader, decoded, model)
    elif not decoded.metrics and not decoded.role_metrics and not reader.has("roles"):
        reader.refuse("metrics", "a list of at least one metric with a source", [])
    reader.finish()
    return decoded


def _read_target(reader: OptionReader) -> TargetKind | None:
    text = reader.text("target", None, one_of=tuple(TargetKind))
    kind = None if text is None else TargetKind(text)
    for key in _OF_GROUPS if kind is TargetKind.HOMOGENEOUS else ():
        if reader.has(key):
            reader.refuse(key, "left out with target homogeneous, which spreads nothing", reader.peek(key))
    return kind


def _read_roles(reader: OptionReader) -> dict[Role, tuple[Metric, ...]]:
    return {role: _read_metrics(reader.mapping(role), f"{role}/") for role in _ROLES if reader.has(role)}


def _read_metrics(reader: OptionReader, prefix: str = "") -> tuple[Metric, ...]:
    sources, entries = reader.mapping("metric_sources"), reader.mappings("metrics")
    names = [entry.text("name", None, is_required=True) for entry in entries]
    metrics = dict[str, Metric]()
    for index, (name, entry) in enumerate(zip(names, entries, strict=True)):
        target_metric = entry.number("target_value", 1.0, above=0.0, is_required=True)
        if name in metrics:
            reader.refuse(f"metrics[{index}].name", "the name of no other metric", name)
        elif name in sources.keys:
            metrics[name] = Metric(name, target_metric, read_metric_sum(sources.mapping(name), f"{prefix}{name}"))
        elif name is not None:
            near, known = find_near(name, sources.keys), ", ".join(sources.keys) or "none"
            hint = f"of which there are: {known}" if near is None else f"did you mean {near}?"
            reader.refuse(f"metrics[{index}].name", f"one of metric_sources, {hint}", name)
    _check_unused(sources, names, prefix)
    return tuple(metrics.values()) or ((_STAND_IN,) if reader.peek("metrics") else ())


def _check_unused(sources: OptionReader, names: Sequence[str | None], prefix: str) -> None:
    """Judge the sources that no metric names, too, and refuse those that none can have meant."""
    meant = {find_near(name, sources.keys) for name in names if name is not None and name not in sources.keys}
    is_clear = bool(names) and None not in names  # else it is the metrics that are wrong
    for name in (key for key in sources.keys if key not in names):
        read_metric_sum(sources.mapping(name), f"{prefix}{name}")
        if is_clear and name not in meant:
            sources.refuse(name, "named by one of metrics, or left out", sources.peek(name))


def _read_capacities(reader: OptionReader) -> tuple[CapacitySource, dict[str, float]]:
    if isinstance(reader.peek("capacity_per_s"), Mapping):
        given = reader.mapping("capacity_per_s")
        return CapacitySource.GIVEN, {key: given.number(key, 1.0, above=0.0, unit="1/s") for key in given.keys}
    words = (CapacitySource.EQUAL.value, CapacitySource.MEASURED.value)
    return CapacitySource(reader.text("capacity_per_s", CapacitySource.EQUAL.value, one_of=words)), {}


def _read_ratio(reader: OptionReader) -> RatioConstraint | None:
    if not reader.has("ratio_constraint"):
        return None
    found = reader.mapping("ratio_constraint")
    numerator = Role(found.text("numerator_role", Role.PREFILL.value, one_of=_ROLES))
    denominator = Role(found.text("denominator_role", Role.DECODE.value, one_of=_ROLES))
    if numerator is denominator:
        found.refuse("denominator_role", "another role than numerator_role", denominator.value)
    least = found.number("min_ratio", 0.0, at_least=0.0)
    most = found.number("max_ratio", 1.0, above=0.0, is_required=True)
    if least > most:
        found.refuse("min_ratio", f"<= max_ratio, {most:g}", least)
    return RatioConstraint(numerator, denominator, RatioRule(least, most))


def _read_behavior(reader: OptionReader) -> Behavior:
    usual = Behavior()
    up, down = reader.mapping("scale_up"), reader.mapping("scale_down")
    return Behavior(
        scale_up=_read_limit(up.mapping("stable_policy"), usual.scale_up),
        scale_down=_read_limit(down, usual.scale_down),
        panic=_read_panic(up.mapping("panic_policy"), usual.panic),
    )


def _read_limit(reader: OptionReader, usual: RateLimit) -> RateLimit:
    return RateLimit(
        instances_replicas=reader.count("instances", usual.instances_replicas),
        percent=_read_percent(reader, "ratio", usual.percent),
        select=Select(reader.text("select_policy", usual.select.value, one_of=_SELECTS)),
        period_s=_read_period_s(reader, "period", usual.period_s),
        stabilization_s=_read_period_s(reader, "stabilization_window", usual.stabilization_s),
    )


def _read_panic(reader: OptionReader, usual: PanicRule) -> PanicRule:
    return PanicRule(
        percent=_read_percent(reader, "ratio", usual.percent),
        period_s=_read_period_s(reader, "period", usual.period_s),
        threshold_percent=_read_percent(reader, "panic_threshold_ratio", usual.threshold_percent, least=1.1),
        hold_s=_read_period_s(reader, "panic_mode_hold", usual.hold_s),
    )


def _read_percent(reader: OptionReader, key: str, usual_percent: int, least: float = 0.0) -> int:
    return round(100.0 * reader.number(key, usual_percent / 100.0, at_least=least, at_most=10.0))


def _read_period_s(reader: OptionReader, key: str, usual_s: float) -> float:
    return reader.duration_s(key, usual_s, at_most=LONGEST_PERIOD_S)
