"""Smaller problems with the same optimum: equal neighbouring steps become one, dominated variants are left out.

Equal steps. Where two neighbouring steps ask for the same, the same fleet serves both at the least cost: the cheaper of
the two, kept through both, saves rent, and by the triangle inequality of the cost of moves switches no more.

Dominated variants. v may be left out for w when w gives no less of every row, costs no more to run, start and stop,
uses no more of every cap, and nothing singles v or w out: w has no upper bound, v neither a lower bound nor initial
replicas, and there is no condition. Proof: in any plan let w take over what v has, y'_w = y_w + y_v. Needs and caps
hold, rent does not rise, and ``(a + b)+ <= a+ + b+`` bounds the moves of the sum by those of its parts.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimizer.solver.clairvoyant.problem import ClairvoyantProblem, FloatArray
from optimizer.solver.min_plus import IntArray


def find_groups(*tables: IntArray | FloatArray) -> IntArray:
    """Return the group of every step, T whole numbers that rise from 0: neighbours equal in every row share one.

    Each of `tables` has T columns.
    """
    differs = np.zeros(tables[0].shape[1] - 1, dtype=np.bool_)
    for table in tables:
        differs |= np.any(table[:, 1:] != table[:, :-1], axis=0)
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(differs, dtype=np.int64)])


def drop_dominated(problem: ClairvoyantProblem) -> tuple[ClairvoyantProblem, tuple[int, ...]]:
    """Return the problem without dominated variants, and the numbers of those kept. Of equal ones the first stays."""
    kept = tuple(range(len(problem.variants)))
    for number in reversed(range(len(problem.variants))):
        if any(_dominates(problem, other, number) for other in kept if other != number):
            kept = tuple(other for other in kept if other != number)
    if len(kept) == len(problem.variants):
        return problem, kept
    initial = problem.initial_replicas
    return replace(
        problem,
        variants=tuple(problem.variants[number] for number in kept),
        capacities=problem.capacities[:, kept],
        caps=tuple(
            replace(cap, coefficients=tuple(cap.coefficients[number] for number in kept)) for cap in problem.caps
        ),
        initial_replicas=None if initial is None else tuple(initial[number] for number in kept),
    ), kept


def _dominates(problem: ClairvoyantProblem, better: int, worse: int) -> bool:
    """Return whether variant number `worse` may be left out for number `better`."""
    one, other = problem.variants[better], problem.variants[worse]
    if problem.condition is not None or one.max_replicas is not None or other.min_replicas > 0:
        return False
    if problem.initial_replicas is not None and problem.initial_replicas[worse] > 0:
        return False
    costs = zip(
        (one.cost_per_hour, one.start_cost, one.stop_cost),
        (other.cost_per_hour, other.start_cost, other.stop_cost),
        strict=True,
    )
    return (
        all(mine <= theirs for mine, theirs in costs)
        and bool(np.all(problem.capacities[:, better] >= problem.capacities[:, worse]))
        and all(cap.coefficients[better] <= cap.coefficients[worse] for cap in problem.caps)
    )
