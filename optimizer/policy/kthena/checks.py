"""Whether the options of the policy ``kthena`` fit the LLM they are given for. It reads no option itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import isfinite

from optimizer.domain import Role, ServedModel, Variant
from optimizer.policy.kthena.options import CapacitySource, KthenaOptions, RatioConstraint, TargetKind
from optimizer.policy.kthena.ratio import Bounds, is_ratio_reachable
from optimizer.policy.options import OptionReader

MOST_UNBOUNDED_REPLICAS = 10_000
"""Stands where a variant has no upper bound [replicas]: blocks need one, and limits bind long before."""


def check_model(reader: OptionReader, options: KthenaOptions, model: ServedModel) -> None:
    """Refuse at `reader` what does not fit `model`."""
    for index, variant in enumerate(model.variants):
        _check_variant(reader, f"variants[{index}]", variant)
    if model.max_replicas is not None and model.min_replicas > model.max_replicas:
        reader.refuse_model("max_replicas", f">= min_replicas {model.min_replicas}", model.max_replicas)
    workloads = Counter(variant.workload for variant in model.variants)
    for workload, count in workloads.items():
        if count > 1:
            reader.refuse_model("variants", f"of different workloads, {count} name", workload.name)
    _check_capacities(reader, options, model)
    if options.get_target(model) is TargetKind.DISAGGREGATED:
        _check_roles(reader, options, model)
        return
    if options.ratio_constraint is not None:
        reader.refuse("ratio_constraint", "left out where target is not disaggregated", options.get_target(model).value)
    if not options.metrics:
        reader.refuse("metrics", "a list of at least one metric with a source", [])


def get_bounds(variants: Iterable[Variant]) -> Bounds:
    """Return the least and most replicas of `variants` together."""
    chosen = tuple(variants)
    return sum(entry.min_replicas for entry in chosen), sum(get_max_replicas(entry) for entry in chosen)


def get_max_replicas(variant: Variant) -> int:
    """Return the most replicas of `variant`, a large number when nothing bounds it."""
    return MOST_UNBOUNDED_REPLICAS if variant.max_replicas is None else variant.max_replicas


def is_fixed(bounds: Bounds) -> bool:
    """Return whether bounds leave one count above zero, so that no metric is asked."""
    return 0 < bounds[0] == bounds[1]


def _check_variant(reader: OptionReader, path: str, variant: Variant) -> None:
    least, most, cost = variant.min_replicas, variant.max_replicas, variant.cost_per_hour
    if most is not None and least > most:
        reader.refuse_model(f"{path}.max_replicas", f">= min_replicas {least}", most)
    if cost is not None and not (isfinite(cost) and cost >= 0.0):
        reader.refuse_model(f"{path}.cost_per_hour", "finite and >= 0", cost)


def _check_capacities(reader: OptionReader, options: KthenaOptions, model: ServedModel) -> None:
    if options.capacity_source is not CapacitySource.GIVEN:
        return
    names = [variant.name for variant in model.variants]
    for name in options.capacity_per_s:
        if name not in names:
            reader.refuse("capacity_per_s", f"by variant, of which there are: {', '.join(names)}", name)
    for name in names:
        if name not in options.capacity_per_s:
            reader.refuse(f"capacity_per_s.{name}", "given too, since those of other variants are", None)


def _check_roles(reader: OptionReader, options: KthenaOptions, model: ServedModel) -> None:
    present = {role: [entry for entry in model.variants if entry.main_role is role] for role in Role}
    if present[Role.BOTH]:
        names = ", ".join(entry.name for entry in present[Role.BOTH])
        reader.refuse("target", "for variants of one role each where it is disaggregated", names)
    for role in (Role.PREFILL, Role.DECODE):
        if role in options.role_metrics and not present[role]:
            reader.refuse(f"roles.{role}", "a role that a variant has", role.value)
        if present[role] and not is_fixed(get_bounds(present[role])) and not options.get_metrics(role):
            reader.refuse(f"roles.{role}.metrics", "a list of at least one metric with a source", [])
    constraint = options.ratio_constraint
    if constraint is not None:
        bounds = {role: get_bounds(variants) for role, variants in present.items() if variants}
        _check_ratio(reader, constraint, bounds)


def _check_ratio(reader: OptionReader, constraint: RatioConstraint, bounds: dict[Role, Bounds]) -> None:
    for key, role in (("numerator_role", constraint.numerator_role), ("denominator_role", constraint.denominator_role)):
        if role not in bounds:
            reader.refuse(f"ratio_constraint.{key}", "a role that a variant has", role.value)
            return
    numerator, denominator = bounds[constraint.numerator_role], bounds[constraint.denominator_role]
    if (numerator[0] == 0) != (denominator[0] == 0):
        reader.refuse("ratio_constraint", "for roles that may both be zero, or neither", [numerator[0], denominator[0]])
    elif not is_ratio_reachable(numerator, denominator, constraint.rule):
        reader.refuse(
            "ratio_constraint",
            "one that counts within the bounds can keep",
            [constraint.rule.min_ratio, constraint.rule.max_ratio],
        )
