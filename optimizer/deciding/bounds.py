"""What a lower bound costs: replicas that only it keeps, and their price. It moves no number."""

from __future__ import annotations

from optimizer.deciding.course import Course
from optimizer.domain import Reason, ReasonCode, SolveStatus
from optimizer.policy import VariantView
from optimizer.stabilization import TOLERANCE_RATIO, compute_capacity_per_s


def explain_bound(course: Course, line: VariantView) -> Reason | None:
    """Return what the lower bound of `line` keeps and costs, None where its replicas are needed anyway."""
    kept = _count_kept(course, line)
    if kept == 0:
        return None
    least, price = line.variant.min_replicas, kept * line.replica_cost_per_hour
    message = f"{least} replicas: the lower bound of {least} keeps {kept} that nothing needs, at {price:.4g} per hour"
    return Reason(ReasonCode.BOUND_BINDS, message)


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
