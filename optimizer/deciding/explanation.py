"""Explain: every decision with its need, figures, conditions and the reason in one sentence. It changes no number."""

from __future__ import annotations

from optimizer.deciding.bounds import explain_bound
from optimizer.deciding.conditions import list_conditions
from optimizer.deciding.course import Course
from optimizer.deciding.figures import compute_coverage_ratio, compute_utilization_ratio
from optimizer.deciding.limiting import BrokenLimit
from optimizer.deciding.overriding import explain_override
from optimizer.deciding.steps import Settled
from optimizer.domain import (
    Hold,
    Limit,
    ModelDecision,
    Observation,
    Reason,
    ReasonCode,
    SolveStatus,
    VariantDecision,
)
from optimizer.policy import CapacityNeed, FixedReplicas, VariantView
from optimizer.queueing import CapacityEstimate
from optimizer.stabilization import Step

CALMER_RATIO = 0.99
"""A need below this share of what is planned with is worth a word."""


def explain(
    settled: Settled, limits: tuple[Limit, ...], broken: tuple[BrokenLimit, ...], now_s: float
) -> ModelDecision:
    """Return the decision of one LLM at `now_s` [s]; all LLMs together exceed the limits in `broken`.

    A hold without anything new to say keeps the time and the plan of the decision it repeats, unless a person chose
    every number.
    """
    course = settled.course
    wish, view = course.wish, course.wish.sight.view
    lines = {line.key: line for line in view.variants}
    variants = tuple(_explain_variant(settled, lines[step.key], step) for step in settled.steps)
    before = wish.remembered.decision
    is_ordered = lines.keys() <= wish.sight.overriding.ordered
    is_repeated = wish.hold is not None and before is not None and _repeats(before, variants) and not is_ordered
    proposal = wish.proposal if isinstance(wish.proposal, CapacityNeed) else None
    return ModelDecision(
        key=view.model.key,
        decided_at_s=before.decided_at_s if is_repeated and before is not None else now_s,
        variants=variants,
        demand_per_s=view.demand.rate_per_s,
        forecast_per_s=proposal.forecast_per_s if proposal else _explain_no_forecast(course),
        need_per_s=wish.need.peak_per_s if proposal and wish.hold is None else None,
        coverage_ratio=compute_coverage_ratio(course, {step.key: step.replicas for step in settled.steps}),
        utilization_ratio=compute_utilization_ratio(course),
        cost_per_hour=sum(entry.planned_replicas * entry.replica_cost_per_hour for entry in variants),
        routing=wish.routing if before is None or proposal else before.routing,
        plan=course.plan if course.is_planned else (before.plan if before is not None else None),
        reason=_explain_model(settled, variants),
        conditions=list_conditions(course, limits, broken),
    )


def _repeats(before: ModelDecision, variants: tuple[VariantDecision, ...]) -> bool:
    planned = {entry.key: entry.planned_replicas for entry in before.variants}
    return all(planned.get(entry.key) == entry.planned_replicas for entry in variants)


def _explain_variant(settled: Settled, line: VariantView, step: Step) -> VariantDecision:
    course = settled.course
    proposal = course.wish.proposal
    estimate = proposal.estimates.get(line.key) if isinstance(proposal, CapacityNeed) else None
    targets = {entry.key: entry.replicas for entry in course.plan.allocations}
    reason, hold = _explain_step(course, line, step)
    override = course.wish.sight.overriding.in_force.get(line.key)
    if override is not None:
        reason = explain_override(override, step.replicas, reason)
    return VariantDecision(
        key=line.key,
        workload=line.variant.workload,
        accelerator=line.variant.accelerator,
        proposed_replicas=targets.get(line.key) if course.is_planned else None,
        planned_replicas=step.replicas,
        requested_replicas=line.state.requested_replicas,
        observed_replicas=line.state.observed_replicas,
        ready_replicas=line.state.ready_replicas,
        capacity_per_s=_explain_capacity(course, line, estimate),
        capacity_origin=None if estimate is None else estimate.origin,
        replica_cost_per_hour=line.replica_cost_per_hour,
        reason=reason,
        hold=None if line.key in course.wish.sight.overriding.ordered else hold,
        override=override,
    )


def _explain_capacity(course: Course, line: VariantView, estimate: CapacityEstimate | None) -> Observation:
    if estimate is not None:
        return estimate.capacity_per_s
    proposal = course.wish.proposal
    if isinstance(proposal, FixedReplicas) and line.key in proposal.capacity_per_s:
        return Observation(proposal.capacity_per_s[line.key])
    if course.wish.hold is not None and course.wish.remembered.decision is not None:
        for entry in course.wish.remembered.decision.variants:
            if entry.key == line.key:
                return entry.capacity_per_s
    return Observation.absent(ReasonCode.NO_DATA, "no capacity was estimated")


def _explain_step(course: Course, line: VariantView, step: Step) -> tuple[Reason, Hold | None]:
    """Return why the published number is what it is, and what was kept back."""
    wish, before = course.wish, line.published_replicas
    change = f"{before} -> {step.replicas}"
    if step.replicas > before:
        code = ReasonCode.WAKE_FROM_ZERO if wish.sight.is_empty else ReasonCode.SCALE_UP
        return Reason(code, f"{change} replicas"), step.hold
    if step.replicas < before:
        code = ReasonCode.SCALE_TO_ZERO if wish.least_replicas == 0 and step.replicas == 0 else ReasonCode.SCALE_DOWN
        return Reason(code, f"{change} replicas"), step.hold
    if wish.hold is not None:
        return wish.hold, Hold(wish.hold)
    if step.hold is not None:
        return step.hold.reason, step.hold
    if course.kept_reason is not None:
        return course.kept_reason, Hold(course.kept_reason)
    if wish.keep is not None and before > 0:
        return wish.keep, Hold(wish.keep)
    return explain_bound(course, line) or Reason(ReasonCode.STEADY, f"{before} replicas"), None


def _explain_model(settled: Settled, variants: tuple[VariantDecision, ...]) -> Reason:
    """Return the decision in one sentence."""
    codes = {entry.reason.code for entry in variants if entry.override is not None}
    if len(codes) == 1 and all(entry.override is not None for entry in variants):
        return Reason(codes.pop(), "; ".join(f"{entry.key.variant}: {entry.reason.message}" for entry in variants))
    course = settled.course
    hold, plan = course.wish.hold, course.plan
    if hold is not None and any(entry.reason.code is ReasonCode.WAKE_FROM_ZERO for entry in variants):
        return Reason(ReasonCode.WAKE_FROM_ZERO, f"one replica is started, though {hold.message}")
    if hold is not None:
        return Reason(hold.code, f"held: {hold.message}")
    if plan.status is SolveStatus.FAILED:
        return plan.reason or Reason(ReasonCode.GAP_LEFT, "held: the solver found no plan")
    if plan.status is SolveStatus.SHORTAGE:
        text = f"the plan carries {plan.served_per_s:.3g}/s of {plan.need_per_s:.3g}/s needed"
        return plan.reason or Reason(ReasonCode.SHORTAGE, text)
    return _explain_change(course, variants) or _explain_stillness(course, variants)


def _explain_change(course: Course, variants: tuple[VariantDecision, ...]) -> Reason | None:
    """Return what changes and why, None when nothing does."""
    before, after = sum(course.wish.sight.published.values()), sum(entry.planned_replicas for entry in variants)
    codes = {entry.reason.code for entry in variants}
    told = f"{before} -> {after} replicas: {_tell_need(course)}"
    if after == 0 < before:
        silent_s = course.wish.sight.view.demand.silent_s
        return Reason(ReasonCode.SCALE_TO_ZERO, f"{told}; nothing was asked for {silent_s:.0f} s")
    for code in (ReasonCode.WAKE_FROM_ZERO, ReasonCode.SCALE_UP, ReasonCode.SCALE_DOWN):
        if code in codes:
            return Reason(code, told)
    return None


def _explain_stillness(course: Course, variants: tuple[VariantDecision, ...]) -> Reason:
    """Return why nothing changes although there is a plan."""
    wish = course.wish
    kept = sum(entry.planned_replicas for entry in variants)
    if wish.keep is not None:
        return Reason(wish.keep.code, f"{kept} replicas, nothing is released: {wish.keep.message}")
    held = [entry.hold.reason for entry in variants if entry.hold is not None]
    blocked = [reason for reason in held if reason.code is ReasonCode.SURGE_BLOCKED]
    if held:
        reason = (blocked or held)[0]
        return Reason(reason.code, f"{kept} replicas: {reason.message}")
    if isinstance(wish.proposal, CapacityNeed) and wish.proposal.need.peak_per_s < CALMER_RATIO * wish.need.peak_per_s:
        return Reason(ReasonCode.CALM_WINDOW, f"{kept} replicas: {_tell_need(course)}")
    return Reason(ReasonCode.STEADY, f"{kept} replicas: {_tell_need(course)}")


def _tell_need(course: Course) -> str:
    wish = course.wish
    if not isinstance(wish.proposal, CapacityNeed):
        note = None if wish.proposal is None else wish.proposal.note
        told = f"policy {wish.sight.model.policy} asks for {sum((wish.replicas or {}).values())} replicas"
        return told if note is None else f"{told}; {note.message}"
    now_per_s, calmed_per_s = wish.proposal.need.peak_per_s, wish.need.peak_per_s
    rate_per_s = wish.sight.view.demand.rate_per_s.value or 0.0
    text = f"demand {rate_per_s:.3g}/s, need {calmed_per_s:.3g}/s"
    return (
        text if now_per_s >= CALMER_RATIO * calmed_per_s else f"{text} within the calm window ({now_per_s:.3g}/s now)"
    )


def _explain_no_forecast(course: Course) -> Observation:
    reason = course.wish.hold or Reason(ReasonCode.NO_DATA, "the policy forecasts nothing")
    return Observation(reason=reason)
