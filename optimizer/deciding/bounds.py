"""What bounds cost: replicas that only a lower one keeps, and what an upper one sends elsewhere. It moves no number."""

from __future__ import annotations

from optimizer.deciding.course import Course
from optimizer.domain import Reason, ReasonCode, SolveStatus
from optimizer.policy import VariantView
from optimizer.solver import VariantLine
from optimizer.stabilization import TOLERANCE_RATIO, compute_capacity_per_s


def explain_bound(course: Course, line: VariantView) -> Reason | None:
    """Return what a bound of `line` costs, None where the plan without it would be the same for all we can tell."""
    return _explain_lower(course, line) or _explain_upper(course, line)


def _explain_lower(course: Course, line: VariantView) -> Reason | None:
    """Return what the lower bound keeps and costs, None where its replicas are needed anyway."""
    kept = _count_kept(course, line)
    if kept == 0:
        return None
    least, price = line.variant.min_replicas, kept * line.replica_cost_per_hour
    message = f"{least} replicas: the lower bound of {least} keeps {kept} that nothing needs, at {price:.4g} per hour"
    return Reason(ReasonCode.BOUND_BINDS, message)


def _explain_upper(course: Course, line: VariantView) -> Reason | None:
    """Return that the upper bound is reached, None where nothing is missing and nothing dearer stands in for it."""
    plan, most = course.plan, line.variant.max_replicas
    planned = {entry.key: entry.replicas for entry in plan.allocations}
    if most is None or planned.get(line.key) != most or plan.status is SolveStatus.FAILED or course.is_fixed:
        return None
    told = f"{most} replicas, all that the upper bound of {most} allows"
    if plan.status is SolveStatus.SHORTAGE:
        return Reason(ReasonCode.BOUND_BINDS, f"{told}: the need is not met")
    dearer = ", ".join(entry.key.variant for entry in _list_dearer(course, line))
    return Reason(ReasonCode.BOUND_BINDS, f"{told}; {dearer}, which costs more, runs beside it") if dearer else None


def _list_dearer(course: Course, line: VariantView) -> list[VariantLine]:
    """Return the variants whose capacity costs more than that of `line`, and that run more than they must."""
    lines = {entry.key: entry for entry in course.problem.lines}
    own = lines[line.key]
    if own.capacity_per_s <= 0.0:
        return []
    return [
        entry
        for allocation in course.plan.allocations
        if (entry := lines[allocation.key]).capacity_per_s > 0.0
        and allocation.replicas > entry.min_replicas
        and entry.cost_per_hour * own.capacity_per_s > own.cost_per_hour * entry.capacity_per_s
    ]


def _count_kept(course: Course, line: VariantView) -> int:
    """Return how many replicas the plan would do without, were it not for the lower bound of `line`."""
    plan, least = course.plan, line.variant.min_replicas
    planned = {entry.key: entry.replicas for entry in plan.allocations}
    is_solved = plan.status in (SolveStatus.OPTIMAL, SolveStatus.FEASIBLE)
    if least == 0 or planned.get(line.key) != least or not is_solved or course.is_fixed:
        return 0
    capacities = {entry.key: entry.capacity_per_s for entry in course.problem.lines}
    need_per_s = plan.need_per_s * (1.0 - TOLERANCE_RATIO)
    spare = sum(planned.values()) - course.wish.unbound_least_replicas
    kept = 0
    for gone in range(1, min(least, spare) + 1):
        left = {**planned, line.key: least - gone}
        if compute_capacity_per_s(left, capacities, plan.routing) >= need_per_s:
            kept = gone
    return kept
