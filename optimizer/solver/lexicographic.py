"""The order of wishes: serve the most of the higher classes, then least cost, then fewest moves, then the rest.

Each wish is a pass of its own over the same program; what one pass reached binds the next. Never one objective with big
weights: those lose small differences of the lower wishes.

Shortage, from the highest class down: the smallest served share is made as large as it can be, then the total.

Source: lexicographic max-min fairness; order of ties: moves, spare capacity, name.
"""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.domain import DecisionSettings
from optimizer.solver.formulation import Formulation
from optimizer.solver.program import Answer, Row

_SHARE_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Outcome:
    """The final answer, and that of the pass for cost, whose bound and gap count."""

    final: Answer
    cost: Answer


def solve_in_order(formulation: Formulation, decision: DecisionSettings) -> Outcome | None:
    """Return the best answer by all wishes in order, None when bounds and limits leave none."""
    if formulation.slacks and not _share_shortage(formulation, decision):
        return None
    cost = formulation.program.minimize(formulation.cost, decision)
    if cost is None:
        return None
    formulation.program.add_row(formulation.cost, high=round(cost.objective) + 0.5)
    final = cost
    for wish, tolerance in ((formulation.moves, 0.5), (formulation.spare, _get_tolerance(formulation.spare))):
        answer = formulation.program.minimize(wish, decision)
        if answer is None:
            break
        final = answer
        formulation.program.add_row(wish, high=answer.objective + tolerance)
    by_name: Row = {formulation.replicas[key]: rank for rank, key in enumerate(sorted(formulation.replicas))}
    return Outcome(formulation.program.minimize(by_name, decision) or final, cost)


def _get_tolerance(row: Row) -> float:
    return _SHARE_TOLERANCE * max((abs(value) for value in row.values()), default=1.0)


def _share_shortage(formulation: Formulation, decision: DecisionSettings) -> bool:
    """Bind the program to the fairest shortage; False when bounds and limits alone leave no answer."""
    program = formulation.program
    for priority in sorted({slack.priority for slack in formulation.slacks}, reverse=True):
        slacks = [slack for slack in formulation.slacks if slack.priority == priority]
        missing = program.add_variable(0.0, 1.0)
        for slack in slacks:
            program.add_row({slack.variable: 1.0 / slack.amount, missing: -1.0}, high=0.0)
        answer = program.minimize({missing: 1.0}, decision)
        if answer is None:
            return False
        program.add_row({missing: 1.0}, high=answer.objective + _SHARE_TOLERANCE)
        total: Row = {slack.variable: 1.0 for slack in slacks}
        answer = program.minimize(total, decision)
        if answer is None:
            return False
        program.add_row(total, high=answer.objective + _SHARE_TOLERANCE * sum(slack.amount for slack in slacks))
    return True
