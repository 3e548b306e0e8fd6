"""The least cost of serving everything, exactly, and a path that has it. What a demand means is not its business.

Source: integer dynamic program with separable min-plus steps, derived in `program` and `min_plus`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from optimizer.solver.clairvoyant.merging import drop_dominated
from optimizer.solver.clairvoyant.problem import ClairvoyantProblem, to_currency
from optimizer.solver.clairvoyant.program import make_program
from optimizer.solver.min_plus import IntArray


@dataclass(frozen=True, slots=True, eq=False)
class ClairvoyantOptimum:
    """The exact answer.

    Attributes
    ----------
    cost
        Least cost [currency]; infinite where no path serves every step.
    path
        Replicas of every step and variant, T by V; None where it was not asked for or there is none.
    states, steps
        Fleets in the box and steps, after leaving out what is dominated and merging what is equal.
    """

    cost: float
    path: IntArray | None
    states: int
    steps: int


def solve_clairvoyant(problem: ClairvoyantProblem, *, with_path: bool = False) -> ClairvoyantOptimum:
    """Return the optimum of `problem`.

    Raises
    ------
    InvalidInput
        If costs get too large for whole cost units.
    """
    smaller, kept = drop_dominated(problem)
    program = make_program(smaller)
    found = None
    if with_path:
        best, path = program.find_path()
        if best is not None:
            found = np.zeros((len(problem.durations_s), len(problem.variants)), dtype=np.int64)
            found[:, kept] = path
    else:
        best = program.solve()
    cost = math.inf if best is None else to_currency(best)
    return ClairvoyantOptimum(cost, found, program.states.size, program.steps)
