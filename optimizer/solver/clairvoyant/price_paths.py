"""Several LLMs under shared caps: the caps are priced in every step, and each LLM is solved alone at these prices.

    bound(pi) = sum over m of min_y [ cost_m(y) + sum_ct d_t * pi_ct * g_mc*y_t ]  -  sum_ct d_t * pi_ct * cap_c

is below the cost of every plan that keeps the caps, for any price paths pi >= 0. Where an LLM may lack a little, what
it lacks is priced as in `missing`, at the prices that are best for it alone; any prices give a bound. The search begins
with prices of 0 and with those of the linear relaxation of all of them together (never looser than the relaxation),
then follows the excess use of each cap a few steps; the highest value met is reported.

This is the place for prices: each LLM keeps its whole numbers, which the relaxation of all loses. To price the needs of
one LLM in turn, variant by variant, would gain nothing on the relaxation: alone, without needs, a variant's best real
path is one of whole numbers already, so that both have the same value (Geoffrion, 1974). Source: Lagrangian relaxation;
step lengths after Polyak, derived.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.errors import InvalidInput
from optimizer.solver.clairvoyant.missing import compute_miss_bound
from optimizer.solver.clairvoyant.problem import (
    NEED_TOLERANCE_RATIO,
    ClairvoyantProblem,
    FloatArray,
    ReplicaCap,
    add_up,
    to_currency,
)
from optimizer.solver.clairvoyant.program import make_program
from optimizer.solver.clairvoyant.time_expanded import solve_time_expanded
from optimizer.units import SECONDS_PER_HOUR

_FIRST_REACH_RATIO = 0.02  # how far above the best bound the optimum is presumed to be


@dataclass(frozen=True, slots=True)
class SharedCap:
    """``sum over problems m and variants v of coefficients[m][v] * y_mv <= amount`` in every step."""

    name: str
    coefficients: tuple[tuple[float, ...], ...]
    amount: float


@dataclass(frozen=True, slots=True, eq=False)
class PriceBound:
    """What several LLMs cost together at least.

    Attributes
    ----------
    cost
        The bound [currency]; infinite where one of them alone, or the relaxation of all, is infeasible.
    linear_bound
        The bound by the linear relaxation of all together [currency].
    prices_per_hour
        Price of one unit of each cap in each step [currency/h], T by C.
    rounds
        Price paths tried.
    states
        Fleets in all boxes together.
    """

    cost: float
    linear_bound: float
    prices_per_hour: FloatArray
    rounds: int
    states: int


def join_problems(problems: Sequence[ClairvoyantProblem], caps: Sequence[SharedCap]) -> ClairvoyantProblem:
    """Return all `problems` as one, each with rows of its own.

    Raises
    ------
    InvalidInput
        If their steps differ, or only some of them have initial replicas or a condition.
    """
    durations_s = problems[0].durations_s
    if any(not np.array_equal(problem.durations_s, durations_s) for problem in problems):
        raise InvalidInput("problems", "of the same steps", [len(problem.durations_s) for problem in problems])
    begun = [problem.initial_replicas for problem in problems if problem.initial_replicas is not None]
    if len(begun) not in (0, len(problems)) or any(problem.condition is not None for problem in problems):
        raise InvalidInput("problems", "all with initial replicas or none, and without a condition", len(begun))
    sizes = [len(problem.variants) for problem in problems]
    width, places = sum(sizes), np.cumsum([0, *sizes])
    capacities, joined = [], []
    for problem, place in zip(problems, places.tolist(), strict=False):
        block = np.zeros((len(problem.needs), width))
        block[:, place : place + len(problem.variants)] = problem.capacities
        capacities.append(block)
        for cap in problem.caps:
            before, after = (0.0,) * place, (0.0,) * (width - place - len(problem.variants))
            joined.append(ReplicaCap(cap.name, (*before, *cap.coefficients, *after), cap.amount))
    shared = [ReplicaCap(cap.name, tuple(use for line in cap.coefficients for use in line), cap.amount) for cap in caps]
    return ClairvoyantProblem(
        variants=tuple(variant for problem in problems for variant in problem.variants),
        durations_s=durations_s,
        capacities=np.vstack(capacities),
        needs=np.vstack([problem.needs for problem in problems]),
        caps=(*shared, *joined),
        initial_replicas=tuple(count for counts in begun for count in counts) if begun else None,
    )


def compute_price_bound(
    problems: Sequence[ClairvoyantProblem],
    caps: Sequence[SharedCap],
    *,
    allowances: Sequence[tuple[float, ...]] | None = None,
    rounds: int = 6,
) -> PriceBound:
    """Return a lower bound for all `problems` under `caps` together.

    Parameters
    ----------
    problems, caps
        What each has to serve, and what they share.
    allowances
        By problem, the units of each row that may be lacking over all steps; None: none.
    rounds
        Price paths tried, 2 at least.

    Raises
    ------
    InvalidInput
        As `join_problems`.
    """
    lacking = None if allowances is None else tuple(units for mine in allowances for units in mine)
    relaxed = solve_time_expanded(join_problems(problems, caps), allowances=lacking)
    terms = [_Term(problem) for problem in problems]
    if allowances is not None:
        terms = [_price_misses(problem, mine) for problem, mine in zip(problems, allowances, strict=True)]
    states = 0
    prices = np.zeros((len(problems[0].durations_s), len(caps)))
    if relaxed.bound == math.inf:
        return PriceBound(math.inf, math.inf, prices, 0, states)
    best, best_prices = -math.inf, prices
    reach_ratio, tried = _FIRST_REACH_RATIO, 0
    for number in range(max(rounds, 2)):
        value, excess, states = _evaluate(terms, caps, prices)
        tried += 1
        if value > best:
            best, best_prices, best_excess = value, prices, excess
        else:
            reach_ratio *= 0.5
        if value == math.inf or (bool(np.all(excess <= 0.0)) and not prices.any()):
            break
        if number == 0:
            prices = relaxed.cap_prices_per_hour[:, : len(caps)]
        else:
            prices = _step(best_prices, best_excess, problems[0], reach_ratio * best)
    return PriceBound(max(best, relaxed.bound), relaxed.bound, best_prices, tried, states)


def _step(prices: FloatArray, excess: FloatArray, problem: ClairvoyantProblem, reach: float) -> FloatArray:
    """Return the next price path: along the excess use, far enough to rise by `reach` [currency] if nothing turned."""
    useful = np.where((prices <= 0.0) & (excess < 0.0), 0.0, excess)
    hours = problem.durations_s[:, np.newaxis] / SECONDS_PER_HOUR
    slope = math.fsum((useful * useful * hours).reshape(-1).tolist())
    if slope <= 0.0:
        return prices
    moved: FloatArray = np.maximum(prices + useful * (reach / slope), 0.0)
    return moved


@dataclass(frozen=True, slots=True, eq=False)
class _Term:
    """One LLM, what a unit it lacks is charged (None: it may lack nothing), and what of that is forgiven [currency]."""

    problem: ClairvoyantProblem
    penalties_per_unit: tuple[float, ...] | None = None
    forgiven: float = 0.0


def _price_misses(problem: ClairvoyantProblem, allowances: tuple[float, ...]) -> _Term:
    penalties = compute_miss_bound(problem, allowances).penalties_per_unit
    if not all(price < math.inf for price in penalties):
        return _Term(problem)
    forgiven = math.fsum(price * units for price, units in zip(penalties, allowances, strict=True))
    return _Term(problem, penalties, forgiven)


def _evaluate(terms: Sequence[_Term], caps: Sequence[SharedCap], prices: FloatArray) -> tuple[float, FloatArray, int]:
    """Return the bound at `prices`, what the solutions use of each cap beyond its amount (T by C), and the states."""
    hours = terms[0].problem.durations_s / SECONDS_PER_HOUR
    amounts = [cap.amount * (1.0 + NEED_TOLERANCE_RATIO) + NEED_TOLERANCE_RATIO for cap in caps]
    excess = np.tile(-np.array([cap.amount for cap in caps]), (len(hours), 1))
    paid = math.fsum((prices * np.array(amounts) * hours[:, np.newaxis]).reshape(-1).tolist())
    total, states = 0, 0
    for number, term in enumerate(terms):
        problem = term.problem
        uses = np.array([cap.coefficients[number] for cap in caps]).reshape(len(caps), len(problem.variants))
        rents = np.zeros((len(hours), len(problem.variants)))
        for use, price in zip(uses, prices.T, strict=True):
            rents = rents + price[:, np.newaxis] * use
        program = make_program(problem, term.penalties_per_unit, rents)
        states += program.states.size
        best, path = program.find_path()
        if best is None:
            return math.inf, excess, states
        total += best
        counts = [path[:, variant] for variant in range(len(problem.variants))]
        for cap, use in enumerate(uses):
            excess[:, cap] += add_up(use, counts)
    forgiven = math.fsum(term.forgiven for term in terms)
    return to_currency(total) - paid - forgiven, excess, states
