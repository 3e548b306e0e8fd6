"""Second thoughts about a plan that changes the composition: whether a restricted one is better. They solve nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from optimizer.deciding.course import Course
from optimizer.deciding.proposing import compute_calm_window_s
from optimizer.domain import Plan, Reason, ReasonCode, Routing, Settings, SolveStatus, VariantKey
from optimizer.solver import ModelProblem, VariantLine
from optimizer.stabilization import is_switch, is_worth_switching

PATIENCE_RATIO = 0.5
"""Share of the calm window for which a switch must have been worth it: need that moves on sooner would undo it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a restricted plan is taken, why, and since when a switch has been worth it [s] (None when it is not)."""

    is_taken: bool
    reason: Reason
    switch_since_s: float | None = None


class SecondThought(Protocol):
    """Asks for a restricted plan, and says whether it is to be taken."""

    def restrict(self, course: Course) -> ModelProblem | None:
        """Return what to ask the solver instead, None when the plan is beyond doubt."""
        ...

    def judge(self, course: Course, restricted: Plan) -> Verdict:
        """Return whether `restricted` is to be taken instead of the plan of `course`."""
        ...


@dataclass(frozen=True, slots=True)
class SwitchingThought:
    """Compositions must not alternate: what is there is added to, and replaced only by what has long been cheaper.

    A plan that starts some and gives up others is taken where it saves a share of the cost, and has done so for half a
    calm window; or where nothing else covers the need.
    """

    settings: Settings
    now_s: float

    def restrict(self, course: Course) -> ModelProblem | None:
        """Return the problem of giving up nothing, where the plan starts some and gives up others."""
        problem = course.problem
        if not is_switch(course.plan, {line.key: line.present_replicas for line in problem.lines}):
            return None
        return replace(problem, lines=tuple(raise_floor(line, line.present_replicas) for line in problem.lines))

    def judge(self, course: Course, restricted: Plan) -> Verdict:
        """Return whether the switch is to wait or to be left."""
        saved_per_hour = restricted.cost_per_hour - course.plan.cost_per_hour
        saving = f"another mix would save {saved_per_hour:.4g} per hour"
        if not is_worth_switching(course.plan, restricted, self.settings.decision.min_saving_ratio):
            return Verdict(True, Reason(ReasonCode.SWITCH_TOO_SMALL, f"{saving} only"))
        if restricted.status in (SolveStatus.SHORTAGE, SolveStatus.FAILED):
            return Verdict(False, Reason(ReasonCode.OPTIMAL, "nothing else covers the need"))
        before_s = course.wish.remembered.stabilization.switch_since_s
        since_s = self.now_s if before_s is None else before_s
        patience_s = PATIENCE_RATIO * compute_calm_window_s(course.wish.sight, self.settings)
        reason = Reason(
            ReasonCode.CALM_WINDOW, f"{saving}, for {self.now_s - since_s:.0f} s of {patience_s:.0f} s so far"
        )
        return Verdict(self.now_s - since_s < patience_s, reason, since_s)


@dataclass(frozen=True, slots=True)
class SlowingThought:
    """Under uniform routing the first replica of a slower variant gets as much as the others, and slows them all down.

    With y ready replicas the fleet then carries (y + 1) * mu_slow: such a variant is begun only where that covers the
    need, or where nothing else does. Else capacity would dip by our own action.
    """

    def restrict(self, course: Course) -> ModelProblem | None:
        """Return the problem without the variants that would slow the others down, None when there are none."""
        problem, slow = course.problem, _find_slowing(course.problem, course.plan)
        if not slow:
            return None
        lines = tuple(
            replace(line, max_replicas=line.min_replicas) if line.key in slow else line for line in problem.lines
        )
        return replace(problem, lines=lines)

    def judge(self, course: Course, restricted: Plan) -> Verdict:
        """Return whether the others serve as much alone."""
        is_enough = restricted.served_per_s >= course.plan.served_per_s * (1.0 - 1e-9)
        message = "under uniform routing the first replica of a slower variant would slow all others down"
        is_taken = is_enough and restricted.status is not SolveStatus.FAILED
        return Verdict(is_taken, Reason(ReasonCode.SURGE_BLOCKED, message))


def _find_slowing(problem: ModelProblem, plan: Plan) -> set[VariantKey]:
    """Return the variants that `plan` begins and that are too slow to be one among those that are ready."""
    if problem.routing in (Routing.WEIGHTED, Routing.BUCKETED) or problem.fixed is not None:
        return set()
    ready = {line.key: line.present_replicas - len(line.starting_s) for line in problem.lines}
    used = [line.capacity_per_s for line in problem.lines if ready[line.key] > 0 and line.capacity_per_s > 0.0]
    begun = {entry.key for entry in plan.allocations if entry.replicas > 0}
    count = sum(replicas for replicas in ready.values() if replicas > 0)
    return {
        line.key
        for line in problem.lines
        if line.key in begun
        and line.present_replicas == 0
        and line.max_replicas != line.min_replicas
        and used
        and 0.0 < line.capacity_per_s < min(used)
        and (count + 1) * line.capacity_per_s < plan.need_per_s
    }


def raise_floor(line: VariantLine, replicas: int) -> VariantLine:
    """Return `line` with at least `replicas`, as far as its upper bound allows."""
    allowed = replicas if line.max_replicas is None else min(replicas, line.max_replicas)
    return replace(line, min_replicas=max(line.min_replicas, allowed))
