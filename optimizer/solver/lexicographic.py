"""The order of wishes: serve the most of the higher classes, then least cost, then fewest moves, then the rest.

Each wish is a pass of its own over the same program; what one pass reached binds the next. Never one objective with big
weights: those lose small differences of the lower wishes.

Ties in cost go to the fewest moves, then the most spare capacity, then more of the variant whose name comes first.

Source: lexicographic optimization; derived.
"""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.domain import DecisionSettings, VariantKey
from optimizer.solver.formulation import Formulation
from optimizer.solver.program import Answer, Row
from optimizer.solver.shortage import share_shortage

_SHARE_TOLERANCE = 1e-6
_LARGEST_WEIGHT = 1e4  # far from where the solver's tolerance of integers would blur the last name


@dataclass(frozen=True, slots=True)
class Outcome:
    """The final answer, and that of the pass for cost, whose bound and gap count."""

    final: Answer
    cost: Answer


def solve_in_order(formulation: Formulation, decision: DecisionSettings) -> Outcome | None:
    """Return the best answer by all wishes in order, None when bounds and limits leave none."""
    if formulation.slacks and not share_shortage(formulation, decision):
        return None
    cost = formulation.program.minimize(formulation.cost, decision)
    if cost is None:
        return None
    formulation.program.add_row(formulation.cost, high=round(cost.objective) + 0.5)
    final = cost
    for wish, tolerance in ((formulation.moves, 0.5), (formulation.spare, _get_tolerance(formulation.spare))):
        answer = formulation.program.minimize(wish, decision)
        if answer is None:
            return Outcome(final, cost)
        final = answer
        formulation.program.add_row(wish, high=answer.objective + tolerance)
    return Outcome(_order_by_name(formulation, decision, final), cost)


def _order_by_name(formulation: Formulation, decision: DecisionSettings, final: Answer) -> Answer:
    """Return the answer with the most of the first name, then of the second, and so on: several names a pass."""
    names = sorted(key for key, most in formulation.most.items() if most > 0.0)
    while names:
        group: list[VariantKey] = []
        weight, weights = 1.0, dict[int, float]()
        while names and (not group or weight * (formulation.most[names[0]] + 1.0) <= _LARGEST_WEIGHT):
            group.append(names.pop(0))
            weight *= formulation.most[group[-1]] + 1.0
        for name in group:
            weight /= formulation.most[name] + 1.0
            weights[formulation.replicas[name]] = -weight
        answer = formulation.program.minimize(weights, decision)
        if answer is None:
            return final
        final = answer
        for column in weights:
            formulation.program.restrict(column, float(final.values[column]), float(final.values[column]))
    return final


def _get_tolerance(row: Row) -> float:
    return _SHARE_TOLERANCE * max((abs(value) for value in row.values()), default=1.0)
