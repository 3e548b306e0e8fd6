"""Solves the needs of all LLMs together: least cost under bounds and shared limits. Knows no clock and no policy.

Each LLM is solved alone, under its own limits and the shared ones; where the plans together keep every limit they are
optimal together. Only LLMs that a broken limit joins are solved in one program.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from optimizer.domain import (
    BindingLimit,
    DecisionSettings,
    Limit,
    ModelKey,
    Plan,
    Reason,
    ReasonCode,
    Routing,
    SolveStatus,
)
from optimizer.solver.alone import choose_counts
from optimizer.solver.counting import (
    Counts,
    compute_served_per_s,
    compute_use,
    get_assumed_routing,
    get_counts,
    to_allocations,
    to_counts,
)
from optimizer.solver.formulation import COST_UNIT_PER_HOUR, Formulation, formulate, is_in_scope
from optimizer.solver.joint import solve_jointly
from optimizer.solver.lexicographic import Outcome, solve_in_order
from optimizer.solver.problem import ModelProblem
from optimizer.solver.runner_up import find_runner_up
from optimizer.solver.searches import list_known

_TOLERANCE = 1e-6
_SHORTAGE_TOLERANCE = 1e-5


def solve_fleet(
    problems: tuple[ModelProblem, ...], limits: tuple[Limit, ...], decision: DecisionSettings
) -> tuple[Plan, ...]:
    """Return one plan per problem, in their order.

    Bounds and limits always hold. A need that cannot be met whole gives plans with status ``shortage``, shared by
    priority; bounds and limits that contradict each other give status ``failed`` and the present replicas.
    """
    plans: dict[ModelKey, Plan] = {}
    for problem in problems:
        plans |= _solve((problem,), limits, decision)
    for group in _find_coupled(problems, limits, plans):
        plans |= _solve(group, limits, decision)
    counts = {line.key: line.replicas for plan in plans.values() for line in plan.allocations}
    spare = {limit.name: limit.amount - compute_use(limit, counts) for limit in limits if limit.amount is not None}
    return tuple(_add_runner_up(problem, plans[problem.key], limits, spare, decision) for problem in problems)


def _solve(
    problems: tuple[ModelProblem, ...], limits: tuple[Limit, ...], decision: DecisionSettings
) -> dict[ModelKey, Plan]:
    """Return the plans of `problems`, solved together; needs are met whole where that is possible."""
    if len(problems) == 1:
        choice = choose_counts(problems[0], limits)
        if choice.counts is not None and choice.is_proven:
            return _to_plans(problems, limits, _Found(to_counts(problems[0], choice.counts)))
        is_hopeless = choice.is_proven
    else:
        joint = solve_jointly(problems, limits, decision)
        if joint is not None:
            return _to_plans(problems, limits, _Found(joint.counts, joint.room * COST_UNIT_PER_HOUR))
        is_hopeless = False
    for may_fall_short in (True,) if is_hopeless else (False, True):
        formulation = formulate(problems, limits, may_fall_short=may_fall_short)
        outcome = solve_in_order(formulation, decision)
        if outcome is not None:
            return _to_plans(problems, limits, _read(problems, formulation, outcome))
    return {problem.key: _to_failure(problem) for problem in problems}


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found for LLMs that were solved together.

    Attributes
    ----------
    counts
        Replicas.
    unproven_per_hour
        By how much a cheaper plan could be cheaper at most [currency/h].
    missing
        What stays unserved, by slack in the order of the formulation; None where every need is met whole.
    short
        Whose need is not met.
    """

    counts: Counts
    unproven_per_hour: float = 0.0
    missing: tuple[float, ...] | None = None
    short: frozenset[ModelKey] = frozenset()


def _read(problems: tuple[ModelProblem, ...], formulation: Formulation, outcome: Outcome) -> _Found:
    counts: Counts = {}
    for problem in problems:
        counts |= get_counts(problem, formulation, outcome.final)
    unproven = outcome.cost.objective - outcome.cost.bound
    missing = tuple(float(outcome.final.values[slack.variable]) for slack in formulation.slacks)
    return _Found(
        counts,
        unproven * COST_UNIT_PER_HOUR if unproven >= 1.0 else 0.0,
        missing or None,
        frozenset(
            slack.key
            for slack, amount in zip(formulation.slacks, missing, strict=True)
            if amount > _SHORTAGE_TOLERANCE * slack.amount
        ),
    )


def _to_plans(problems: tuple[ModelProblem, ...], limits: tuple[Limit, ...], found: _Found) -> dict[ModelKey, Plan]:
    binding = _find_binding(problems, limits, found)
    return {problem.key: _to_plan(problem, found, binding[problem.key]) for problem in problems}


def _to_plan(problem: ModelProblem, found: _Found, binding: tuple[BindingLimit, ...]) -> Plan:
    counts, unproven_per_hour = found.counts, found.unproven_per_hour
    status = SolveStatus.FEASIBLE if unproven_per_hour else SolveStatus.OPTIMAL
    if problem.key in found.short:
        status = SolveStatus.SHORTAGE
    cost_per_hour = sum(line.cost_per_hour * counts[line.key] for line in problem.lines)
    switching_per_hour = _compute_switching_per_hour(problem, counts)
    minimized_per_hour = cost_per_hour + switching_per_hour
    bound_per_hour = max(minimized_per_hour - unproven_per_hour, 0.0)
    return Plan(
        status=status,
        allocations=to_allocations(problem, counts),
        need_per_s=problem.need.peak_per_s,
        served_per_s=compute_served_per_s(problem, counts),
        cost_per_hour=cost_per_hour,
        bound_per_hour=bound_per_hour,
        gap_ratio=1.0 - bound_per_hour / minimized_per_hour if minimized_per_hour > 0.0 else 0.0,
        binding=binding,
        routing=get_assumed_routing(problem),
        switching_per_hour=switching_per_hour,
        reason=_explain(problem, status, binding),
    )


def _explain(problem: ModelProblem, status: SolveStatus, binding: tuple[BindingLimit, ...]) -> Reason | None:
    if status is SolveStatus.FEASIBLE:
        return Reason(ReasonCode.GAP_LEFT, "the solver stopped at its limit of nodes or gap: a cheaper plan may exist")
    if status is not SolveStatus.SHORTAGE:
        return _explain_routing(problem)
    if not any(line.capacity_per_s > 0.0 for line in problem.lines) and problem.fixed is None:
        return Reason(ReasonCode.SHORTAGE, "no variant has a known capacity within the SLO")
    names = ", ".join(limit.name for limit in binding) or "the bounds of the variants"
    return Reason(ReasonCode.SHORTAGE, f"the need cannot be met under {names}")


def _explain_routing(problem: ModelProblem) -> Reason | None:
    if problem.routing is not Routing.BUCKETED or problem.fixed is not None:
        return None
    return Reason(ReasonCode.ROUTING_SUBSTITUTED, "planned as for weighted routing: buckets are not told apart yet")


def _compute_switching_per_hour(problem: ModelProblem, counts: Counts) -> float:
    moves = [(line, counts[line.key] - line.present_replicas) for line in problem.lines]
    return sum(
        line.start_cost_per_hour * max(change, 0) + line.stop_cost_per_hour * max(-change, 0) for line, change in moves
    )


def _to_failure(problem: ModelProblem) -> Plan:
    counts = {line.key: line.present_replicas for line in problem.lines}
    return Plan(
        status=SolveStatus.FAILED,
        allocations=to_allocations(problem, counts),
        need_per_s=problem.need.peak_per_s,
        served_per_s=compute_served_per_s(problem, counts),
        cost_per_hour=sum(line.cost_per_hour * counts[line.key] for line in problem.lines),
        routing=get_assumed_routing(problem),
        reason=Reason(ReasonCode.LIMIT_BINDS, "bounds and limits contradict each other: no plan keeps them all"),
    )


def _find_binding(
    problems: tuple[ModelProblem, ...], limits: tuple[Limit, ...], found: _Found
) -> dict[ModelKey, tuple[BindingLimit, ...]]:
    """Return the limits that leave no room for one more replica, by LLM, with what one more unit of each would save."""
    tight = [limit for limit in limits if _is_tight(limit, found.counts)]
    if not tight:
        return {problem.key: () for problem in problems}
    formulation = formulate(problems, limits, may_fall_short=found.missing is not None)
    for slack, missing in zip(formulation.slacks, found.missing or (), strict=True):
        formulation.program.restrict(slack.variable, 0.0, missing)
    rows = tuple(formulation.limit_rows[limit.name] for limit in tight)
    relaxation = formulation.program.relax(formulation.cost, rows)
    prices = (0.0,) * len(rows) if relaxation is None else relaxation.prices
    binding = [BindingLimit(limit.name, price * COST_UNIT_PER_HOUR) for limit, price in zip(tight, prices, strict=True)]
    return {
        problem.key: tuple(
            entry
            for entry, limit in zip(binding, tight, strict=True)
            if any(is_in_scope(limit, line.key) for line in problem.lines)
        )
        for problem in problems
    }


def _is_tight(limit: Limit, counts: Counts) -> bool:
    uses = [use for key, use in limit.coefficients.items() if key in counts and use > 0.0 and is_in_scope(limit, key)]
    return (
        bool(uses) and limit.amount is not None and compute_use(limit, counts) + min(uses) > limit.amount + _TOLERANCE
    )


def _find_coupled(
    problems: tuple[ModelProblem, ...], limits: tuple[Limit, ...], plans: Mapping[ModelKey, Plan]
) -> list[tuple[ModelProblem, ...]]:
    """Return the groups of LLMs that have to be solved together: those that a limit joins which their plans break.

    Where one of them falls short although it was alone, the others may have to give way to a higher class of it, or it
    to theirs: the limit joins them as well.
    """
    groups: list[set[ModelKey]] = []
    for limit in limits:
        joined = {problem.key for problem in problems if any(is_in_scope(limit, line.key) for line in problem.lines)}
        if limit.amount is None or len(joined) < 2:
            continue
        counts = {line.key: line.replicas for key in joined for line in plans[key].allocations}
        if compute_use(limit, counts) <= limit.amount + _TOLERANCE:
            continue
        touching = [group for group in groups if group & joined]
        groups = [group for group in groups if not group & joined] + [joined.union(*touching)]
    # What is solved together may shift its use to another limit that others share: take in everybody it reaches.
    return [
        tuple(problem for problem in problems if problem.key in reached)
        for reached in _unite(_reach(group, problems, limits) for group in groups)
    ]


def _reach(group: set[ModelKey], problems: tuple[ModelProblem, ...], limits: tuple[Limit, ...]) -> set[ModelKey]:
    """Return `group` with every LLM that a chain of known limits connects to it."""
    reached = set(group)
    while True:
        keys = {line.key for problem in problems if problem.key in reached for line in problem.lines}
        known = (limit for limit in limits if limit.amount is not None)
        shared = [limit for limit in known if any(is_in_scope(limit, key) for key in keys)]
        more = {
            problem.key
            for problem in problems
            if any(is_in_scope(limit, line.key) for limit in shared for line in problem.lines)
        }
        if more <= reached:
            return reached
        reached |= more


def _unite(groups: Iterable[set[ModelKey]]) -> list[set[ModelKey]]:
    united: list[set[ModelKey]] = []
    for group in groups:
        if group not in united:
            united.append(group)
    return united


def _add_runner_up(
    problem: ModelProblem, plan: Plan, limits: Iterable[Limit], spare: Mapping[str, float], decision: DecisionSettings
) -> Plan:
    """Return `plan` with its runner-up; `spare` is what all plans together leave of each known limit, in its unit."""
    if plan.status not in (SolveStatus.OPTIMAL, SolveStatus.FEASIBLE):
        return plan
    own = {line.key: line.replicas for line in plan.allocations}
    left = [
        replace(limit, amount=max(spare[limit.name] + compute_use(limit, own), 0.0))
        for limit in list_known(problem, limits)
    ]
    counts = find_runner_up(problem, plan, left, decision)
    if counts is None:
        return plan
    cost_per_hour = sum(line.cost_per_hour * counts[line.key] for line in problem.lines)
    return replace(plan, runner_up=to_allocations(problem, counts), runner_up_cost_per_hour=cost_per_hour)
