"""Conditions of a decision: fresh data, routing as assumed, within limits, SLO reachable. They change nothing."""

from __future__ import annotations

from optimizer.deciding.course import Course
from optimizer.deciding.limiting import BrokenLimit
from optimizer.demand import find_routing
from optimizer.domain import Condition, ConditionType, Limit, Reason, ReasonCode, Routing, SolveStatus
from optimizer.policy import CapacityNeed


def list_conditions(
    course: Course, limits: tuple[Limit, ...], broken: tuple[BrokenLimit, ...]
) -> tuple[Condition, ...]:
    """Return what holds and what does not of one LLM, each with the reason; all LLMs together exceed `broken`."""
    conditions = [_judge_freshness(course), _judge_limits(course, limits, broken)]
    if isinstance(course.wish.proposal, CapacityNeed):
        conditions += [_judge_routing(course, course.wish.proposal), _judge_slo(course.wish.proposal)]
    return tuple(conditions)


def _judge_freshness(course: Course) -> Condition:
    demand = course.wish.sight.view.demand
    if demand.is_complete:
        reason = Reason(ReasonCode.STEADY, "demand was counted whole in the newest windows")
        return Condition(ConditionType.FRESH, True, reason)
    reason = demand.reason or Reason(ReasonCode.NO_DATA, "demand is not known")
    return Condition(ConditionType.FRESH, False, reason)


def _judge_limits(course: Course, limits: tuple[Limit, ...], broken: tuple[BrokenLimit, ...]) -> Condition:
    plan = course.plan
    keys = {line.key for line in course.problem.lines}
    exceeded = [entry for entry in broken if keys & entry.users]
    if exceeded:
        told = ", ".join(f"{entry.use:g} of {entry.limit.amount:g} in {entry.limit.name}" for entry in exceeded)
        reason = Reason(ReasonCode.LIMIT_BINDS, f"what is published exceeds limits: {told}")
        return Condition(ConditionType.WITHIN_LIMITS, False, reason)
    unknown = [limit.name for limit in limits if limit.amount is None and keys & limit.coefficients.keys()]
    binding = ", ".join(entry.name for entry in plan.binding)
    if plan.status is SolveStatus.SHORTAGE:
        reason = plan.reason or Reason(ReasonCode.SHORTAGE, f"the need does not fit: {binding or 'bounds'}")
        return Condition(ConditionType.WITHIN_LIMITS, False, reason)
    if plan.status is SolveStatus.FAILED:
        reason = plan.reason or Reason(ReasonCode.GAP_LEFT, "no plan was found")
        return Condition(ConditionType.WITHIN_LIMITS, None, reason)
    if binding:
        reason = Reason(ReasonCode.LIMIT_BINDS, f"the plan exhausts {binding}")
        return Condition(ConditionType.WITHIN_LIMITS, True, reason)
    if unknown:
        reason = Reason(ReasonCode.NO_DATA, f"the amount of {', '.join(unknown)} is not known")
        return Condition(ConditionType.WITHIN_LIMITS, None, reason)
    return Condition(ConditionType.WITHIN_LIMITS, True, Reason(ReasonCode.OPTIMAL, "no limit binds"))


def _judge_routing(course: Course, proposal: CapacityNeed) -> Condition:
    """Compare the assumption with the measured loads; where both routings predict the same, nothing is claimed."""
    capacities_per_s = {entry.key.variant: entry.capacity_per_s for entry in proposal.capacity_table.entries}
    measured = find_routing(course.wish.sight.view.shares, capacities_per_s)
    assumed = Routing.WEIGHTED if proposal.routing is Routing.BUCKETED else proposal.routing
    kind = ConditionType.ROUTING_AS_ASSUMED
    if measured is None:
        return Condition(kind, None, Reason(ReasonCode.FEW_SAMPLES, "the loads of the pods do not tell routings apart"))
    reason = Reason(ReasonCode.STEADY, f"the loads of the pods show {measured}, the plan assumes {assumed}")
    return Condition(kind, measured is assumed, reason)


def _judge_slo(proposal: CapacityNeed) -> Condition:
    known = [entry.capacity_per_s for entry in proposal.capacity_table.entries]
    reasons = [estimate.reason for estimate in proposal.estimates.values() if estimate.reason is not None]
    if any(capacity_per_s > 0.0 for capacity_per_s in known):
        reason = Reason(ReasonCode.STEADY, "at least one variant keeps every promise")
        return Condition(ConditionType.SLO_REACHABLE, True, reason)
    if known:
        reason = reasons[0] if reasons else Reason(ReasonCode.TARGET_BELOW_LONE_REQUEST, "no variant keeps them")
        return Condition(ConditionType.SLO_REACHABLE, False, reason)
    reason = reasons[0] if reasons else Reason(ReasonCode.NO_PROFILE, "no capacity is known")
    return Condition(ConditionType.SLO_REACHABLE, None, reason)
