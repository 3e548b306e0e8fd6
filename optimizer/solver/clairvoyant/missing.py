"""A lower bound for everybody who serves almost everything: what may be missed is priced. It judges no policy.

    bound(theta) = min over y of [ cost(y) + sum_r theta_r * sum_t d_t * (need_rt - mu_r*y_t)+ ] - sum_r theta_r * A_r

Whoever lacks at most A_r units of each row r costs no less, for any theta >= 0: of the bracket his part in excess of
his cost is at most what is subtracted. The bound is concave in theta. It is searched along one ray, theta = x times
what a unit costs where it is cheapest, on a grid of powers of x and then between the best and its neighbours; every
value that is met on the way is a bound, so an early end costs tightness and never validity.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from optimizer.solver.clairvoyant.merging import drop_dominated
from optimizer.solver.clairvoyant.optimum import solve_clairvoyant
from optimizer.solver.clairvoyant.problem import ClairvoyantProblem, to_currency
from optimizer.solver.clairvoyant.program import make_program
from optimizer.units import SECONDS_PER_HOUR

_EXPONENTS = tuple(float(power) for power in range(0, 17, 2))
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


@dataclass(frozen=True, slots=True)
class MissBound:
    """What a fleet that may lack a little costs at least.

    Attributes
    ----------
    cost
        The bound [currency]; infinite where even that little does not make it feasible: bounds and caps alone.
    penalties_per_unit
        The prices it was found at, by row [currency per unit]; infinite where nothing may be missed.
    evaluations
        Dynamic programs solved.
    states, steps
        Size of each, as for the optimum.
    """

    cost: float
    penalties_per_unit: tuple[float, ...]
    evaluations: int
    states: int
    steps: int


def compute_miss_bound(
    problem: ClairvoyantProblem, allowances: tuple[float, ...], *, refinements: int = 5
) -> MissBound:
    """Return a lower bound for every path that lacks at most `allowances` altogether.

    Parameters
    ----------
    problem
        The needs, all of which are counted.
    allowances
        Units of each row that may be lacking over all steps, >= 0.
    refinements
        Dynamic programs spent after the grid.
    """
    if max(allowances, default=0.0) <= 0.0:
        exact = solve_clairvoyant(problem)
        return MissBound(exact.cost, (math.inf,) * len(allowances), 1, exact.states, exact.steps)
    smaller, _ = drop_dominated(problem)
    cheapest = _find_cheapest(smaller)
    sizes = [0, 0]

    def evaluate(exponent: float) -> float:
        penalties = tuple(2.0**exponent * price / len(cheapest) for price in cheapest)
        program = make_program(smaller, penalties)
        sizes[:] = program.states.size, program.steps
        best = program.solve()
        if best is None:
            return math.inf
        spared = math.fsum(price * units for price, units in zip(penalties, allowances, strict=True))
        return to_currency(best) - spared

    found = _search(evaluate, refinements)
    exponent = max(found, key=lambda key: (found[key], -key))
    penalties = tuple(2.0**exponent * price / len(cheapest) for price in cheapest)
    return MissBound(max(found[exponent], 0.0), penalties, len(found), sizes[0], sizes[1])


def _find_cheapest(problem: ClairvoyantProblem) -> tuple[float, ...]:
    """Return what one unit of each row costs on the variant that gives it for the least [currency]."""
    return tuple(
        min(
            (
                variant.cost_per_hour / (SECONDS_PER_HOUR * gain)
                for variant, gain in zip(problem.variants, row, strict=True)
                if gain > 0.0
            ),
            default=0.0,
        )
        for row in problem.capacities.tolist()
    )


def _search(evaluate: Callable[[float], float], refinements: int) -> dict[float, float]:
    """Return the values met on the way to the highest, by exponent: up the grid until it falls, then golden section."""
    found: dict[float, float] = {}
    for exponent in _EXPONENTS:
        found[exponent] = evaluate(exponent)
        if found[exponent] == math.inf or found[exponent] < max(found.values()):
            break
    best = max(found, key=lambda key: (found[key], -key))
    low, high = best - 2.0, best + 2.0
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    for _ in range(refinements if found[best] < math.inf else 0):
        for exponent in (left, right):
            if exponent not in found:
                found[exponent] = evaluate(exponent)
                break
        if left in found and right in found:
            if found[left] >= found[right]:
                high, right = right, left
                left = high - _GOLDEN * (high - low)
            else:
                low, left = left, right
                right = low + _GOLDEN * (high - low)
    return found
