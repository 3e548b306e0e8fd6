"""Second thoughts about a plan that changes the composition: whether a restricted one is better. They solve nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from optimizer.domain import Plan, Reason, ReasonCode, Routing, SolveStatus, VariantKey
from optimizer.solver import ModelProblem, VariantLine
from optimizer.stabilization import is_switch, is_worth_switching


class SecondThought(Protocol):
    """Asks for a restricted plan, and says whether it is to be preferred."""

    def restrict(self, problem: ModelProblem, plan: Plan) -> ModelProblem | None:
        """Return what to ask the solver instead, None when `plan` is beyond doubt."""
        ...

    def prefers(self, restricted: Plan, plan: Plan) -> bool:
        """Whether `restricted` is to be taken instead of `plan`."""
        ...

    def explain(self, restricted: Plan, plan: Plan) -> Reason:
        """Return why it was taken."""
        ...


@dataclass(frozen=True, slots=True)
class SwitchingThought:
    """Near-equal plans must not alternate: another composition has to save a share of the cost [0-1]."""

    min_saving_ratio: float

    def restrict(self, problem: ModelProblem, plan: Plan) -> ModelProblem | None:
        """Return the problem of giving up nothing, where `plan` starts some and gives up others."""
        if not is_switch(plan, {line.key: line.present_replicas for line in problem.lines}):
            return None
        return replace(problem, lines=tuple(raise_floor(line, line.present_replicas) for line in problem.lines))

    def prefers(self, restricted: Plan, plan: Plan) -> bool:
        """Whether `plan` saves too little."""
        return not is_worth_switching(plan, restricted, self.min_saving_ratio)

    def explain(self, restricted: Plan, plan: Plan) -> Reason:
        """Return what would have been saved."""
        saved_per_hour = restricted.cost_per_hour - plan.cost_per_hour
        return Reason(ReasonCode.SWITCH_TOO_SMALL, f"another mix would save {saved_per_hour:.4g} per hour only")


@dataclass(frozen=True, slots=True)
class SlowingThought:
    """Under uniform routing the first replica of a slower variant gets as much as the others, and slows them all down.

    With y ready replicas the fleet then carries (y + 1) * mu_slow: such a variant is begun only where that covers the
    need, or where nothing else does. Else capacity would dip by our own action.
    """

    def restrict(self, problem: ModelProblem, plan: Plan) -> ModelProblem | None:
        """Return the problem without the variants that would slow the others down, None when there are none."""
        slow = _find_slowing(problem, plan)
        if not slow:
            return None
        lines = tuple(
            replace(line, max_replicas=line.min_replicas) if line.key in slow else line for line in problem.lines
        )
        return replace(problem, lines=lines)

    def prefers(self, restricted: Plan, plan: Plan) -> bool:
        """Whether `restricted` serves as much as `plan`."""
        if restricted.status is SolveStatus.FAILED:
            return False
        return restricted.served_per_s >= plan.served_per_s * (1.0 - 1e-9)

    def explain(self, restricted: Plan, plan: Plan) -> Reason:
        """Return what stands in the way."""
        del restricted, plan
        message = "under uniform routing the first replica of a slower variant would slow all others down"
        return Reason(ReasonCode.SURGE_BLOCKED, message)


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
        and used
        and 0.0 < line.capacity_per_s < min(used)
        and (count + 1) * line.capacity_per_s < plan.need_per_s
    }


def raise_floor(line: VariantLine, replicas: int) -> VariantLine:
    """Return `line` with at least `replicas`, as far as its upper bound allows."""
    allowed = replicas if line.max_replicas is None else min(replicas, line.max_replicas)
    return replace(line, min_replicas=max(line.min_replicas, allowed))
