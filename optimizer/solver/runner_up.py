"""The runner-up: the cheapest plan that uses another set of variants, as far as limits leave room for it.

With S the variants that the plan uses and b_v whether v is used, at least one of them changes sides:

    sum over v in S of (1 - b_v) + sum over v not in S of b_v >= 1
"""

from __future__ import annotations

from collections.abc import Iterable

from optimizer.domain import DecisionSettings, Limit, Plan
from optimizer.solver.alone import choose_other_counts
from optimizer.solver.counting import Counts, get_counts, to_counts
from optimizer.solver.formulation import formulate
from optimizer.solver.problem import ModelProblem
from optimizer.solver.program import Row


def find_runner_up(
    problem: ModelProblem, plan: Plan, limits: Iterable[Limit], decision: DecisionSettings
) -> Counts | None:
    """Return the replicas of the runner-up of `plan`, None when there is no other set of variants, or no choice."""
    choices = [line for line in problem.lines if line.capacity_per_s > 0.0 and line.max_replicas != 0]
    if problem.fixed is not None or len(choices) < 2 or not problem.need.entries:
        return None
    replicas = {line.key: line.replicas for line in plan.allocations}
    limits = tuple(limits)
    choice = choose_other_counts(problem, limits, [replicas[line.key] > 0 for line in problem.lines])
    if choice.is_proven:
        return None if choice.counts is None else to_counts(problem, choice.counts)
    formulation = formulate((problem,), limits, may_fall_short=False)
    program = formulation.program
    change: Row = {}
    used = 0
    for line in choices:
        column = formulation.replicas[line.key]
        is_used = program.add_variable(0.0, 1.0, is_integer=True)
        program.add_row({column: 1.0, is_used: -1.0}, low=0.0)
        program.add_row({column: 1.0, is_used: -formulation.most[line.key]}, high=0.0)
        in_plan = replicas[line.key] > 0
        change[is_used] = -1.0 if in_plan else 1.0
        used += in_plan
    program.add_row(change, low=1.0 - used)
    answer = program.minimize(formulation.cost, decision)
    return None if answer is None else get_counts(problem, formulation, answer)
