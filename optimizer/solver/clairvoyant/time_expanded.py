"""The linear relaxation of the whole horizon at once: a bound where the dynamic program has too many fleets.

    minimise  sum_t d_t*p*y_t + k*u_t + k'*w_t    y_t - y_(t-1) <= u_t,   y_(t-1) - y_t <= w_t,   all real and >= 0
    with      mu_r*y_t + s_rt >= need_rt,   caps,   bounds,   sum_t d_t*s_rt <= A_r     (s = 0 where nothing may lack)

What is reported as the bound is not the solver's word but the value of its dual prices, added up anew: for any prices
m >= 0 of the rows ``A x <= b`` and variables between l and h, ``-m*b + sum_j min(l_j*r_j, h_j*r_j)`` with
``r = c + A'm`` is below every feasible cost (Neumaier and Shcherbina, 2004). Rounding only makes it a little lower.
Source: HiGHS through `scipy.optimize.linprog`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog
from scipy.sparse import coo_array, csr_array

from optimizer.errors import InvalidInput
from optimizer.solver.clairvoyant.merging import find_groups
from optimizer.solver.clairvoyant.problem import (
    NEED_TOLERANCE_RATIO,
    UNITS_PER_CURRENCY,
    ClairvoyantProblem,
    FloatArray,
    get_milliseconds,
    get_price_units,
    to_units,
)
from optimizer.solver.clairvoyant.states import compute_box
from optimizer.units import SECONDS_PER_HOUR

_INFEASIBLE = 2


@dataclass(frozen=True, slots=True, eq=False)
class LinearAnswer:
    """The relaxation's answer.

    Attributes
    ----------
    bound
        Proven lower bound [currency]; infinite where not even real numbers of replicas serve everything.
    replicas
        Real numbers of replicas, T by V; empty where infeasible.
    cap_prices_per_hour
        What one more unit of each cap would save in each step [currency/h], T by C; empty where infeasible.
    steps
        Steps after merging equal ones.
    """

    bound: float
    replicas: FloatArray
    cap_prices_per_hour: FloatArray
    steps: int


@dataclass(slots=True)
class _Rows:
    """Rows ``A x <= b``, block by block."""

    numbers: list[npt.NDArray[np.int64]]
    columns: list[npt.NDArray[np.int64]]
    values: list[FloatArray]
    highs: list[FloatArray]
    size: int = 0

    def add(self, highs: FloatArray, *terms: tuple[npt.NDArray[np.int64], FloatArray | float]) -> None:
        """Add ``len(highs)`` rows; each term is a column and a coefficient for every one of them."""
        numbers = np.arange(self.size, self.size + len(highs), dtype=np.int64)
        for columns, values in terms:
            self.numbers.append(numbers)
            self.columns.append(columns)
            self.values.append(np.broadcast_to(np.asarray(values, dtype=np.float64), numbers.shape))
        self.highs.append(highs)
        self.size += len(highs)

    def add_sum(self, high: float, columns: npt.NDArray[np.int64], values: FloatArray) -> None:
        """Add one row over many columns."""
        self.numbers.append(np.full(len(columns), self.size, dtype=np.int64))
        self.columns.append(columns)
        self.values.append(values)
        self.highs.append(np.array([high]))
        self.size += 1

    def to_matrix(self, width: int) -> tuple[csr_array, FloatArray]:
        """Return A and b."""
        cells = np.concatenate(self.values), (np.concatenate(self.numbers), np.concatenate(self.columns))
        return csr_array(coo_array(cells, shape=(self.size, width))), np.concatenate(self.highs)


def solve_time_expanded(
    problem: ClairvoyantProblem, *, with_switching: bool = True, allowances: tuple[float, ...] | None = None
) -> LinearAnswer:
    """Return the relaxation of `problem`; its condition is left out.

    Parameters
    ----------
    problem
        What to relax.
    with_switching
        Whether starts and stops cost anything.
    allowances
        Units of each row that may be lacking over all steps; None: none.

    Raises
    ------
    InvalidInput
        If the solver gives up.
    """
    groups, begins = _merge(problem, with_switching=with_switching)
    steps = len(begins)
    milliseconds = np.bincount(groups, get_milliseconds(problem), minlength=steps).astype(np.float64)
    layout = _Layout(problem, steps, problem.needs[:, begins], milliseconds, with_switching)
    rows = layout.list_rows(allowances)
    matrix, highs = rows.to_matrix(layout.width)
    result = linprog(
        layout.costs,
        A_ub=cast("FloatArray", matrix),  # sparse is taken as well, only the types do not say so
        b_ub=highs,
        bounds=list(zip(layout.lows.tolist(), layout.highs.tolist(), strict=True)),
        method="highs",
    )
    if result.status == _INFEASIBLE:
        nothing = np.zeros((0, 0))
        return LinearAnswer(math.inf, nothing, nothing, steps)
    if result.x is None:
        raise InvalidInput("time-expanded program", "solvable by HiGHS", result.message)
    prices = np.maximum(-np.asarray(result.ineqlin.marginals, dtype=np.float64), 0.0)
    bound = _certify(layout, matrix, highs, prices)
    replicas = np.asarray(result.x, dtype=np.float64)[: steps * layout.variants].reshape(steps, layout.variants)
    hours = milliseconds / (1e3 * SECONDS_PER_HOUR)
    cap_prices = prices[layout.cap_rows].reshape(len(problem.caps), steps).T / hours[:, np.newaxis]
    return LinearAnswer(bound, replicas[groups], cap_prices[groups], steps)


class _Layout:
    """Where the variables and rows of a problem with `steps` merged steps stand."""

    def __init__(
        self, problem: ClairvoyantProblem, steps: int, needs: FloatArray, milliseconds: FloatArray, switching: bool
    ) -> None:
        self.problem, self.steps, self.needs, self.milliseconds = problem, steps, needs, milliseconds
        self.variants, self.rows = len(problem.variants), len(problem.needs)
        self.has_switching = switching
        block = steps * self.variants
        moves = 2 * block if switching else 0
        self.lack_at = block + moves
        self.width = self.lack_at + steps * self.rows
        self.cap_rows = slice(0, 0)
        prices = np.array([get_price_units(line) for line in problem.variants], dtype=np.float64)
        self.costs = np.zeros(self.width)
        self.costs[:block] = np.outer(milliseconds, prices).reshape(-1) / UNITS_PER_CURRENCY
        box = compute_box(problem)
        high = np.tile(np.array([most for _, most in box], dtype=np.float64), steps)
        self.lows, self.highs = np.zeros(self.width), np.zeros(self.width)
        self.lows[:block] = np.tile(np.array([float(line.min_replicas) for line in problem.variants]), steps)
        bounds = np.array([math.inf if line.max_replicas is None else line.max_replicas for line in problem.variants])
        self.highs[:block] = np.minimum(high, np.tile(bounds, steps))
        if switching:
            starts = [to_units(line.start_cost) / UNITS_PER_CURRENCY for line in problem.variants]
            stops = [to_units(line.stop_cost) / UNITS_PER_CURRENCY for line in problem.variants]
            self.costs[block : block + moves] = np.concatenate([np.tile(starts, steps), np.tile(stops, steps)])
            self.highs[block : block + moves] = np.concatenate([high, high])

    def list_rows(self, allowances: tuple[float, ...] | None) -> _Rows:
        """Return every row; variables of what is lacking are fixed to 0 without `allowances`."""
        rows = _Rows([], [], [], [])
        each = np.arange(self.steps, dtype=np.int64) * self.variants
        lacks = self.lack_at + np.arange(self.steps, dtype=np.int64) * self.rows
        for cap in self.problem.caps:
            amount = cap.amount * (1.0 + NEED_TOLERANCE_RATIO) + NEED_TOLERANCE_RATIO
            rows.add(np.full(self.steps, amount), *((each + v, use) for v, use in enumerate(cap.coefficients)))
        self.cap_rows = slice(0, rows.size)
        for r, gains in enumerate(self.problem.capacities.tolist()):
            given = [(each + v, -gain) for v, gain in enumerate(gains)]
            rows.add(-self.needs[r] * (1.0 - NEED_TOLERANCE_RATIO), *given, (lacks + r, -1.0))
            if allowances is not None:
                self.highs[lacks + r] = self.needs[r]
                rows.add_sum(allowances[r], lacks + r, self.milliseconds / 1e3)
        if self.has_switching:
            self._add_moves(rows, each)
        return rows

    def _add_moves(self, rows: _Rows, each: npt.NDArray[np.int64]) -> None:
        block = self.steps * self.variants
        for v in range(self.variants):
            now, none = each + v, np.zeros(self.steps - 1)
            rows.add(none, (now[1:], 1.0), (now[:-1], -1.0), (block + now[1:], -1.0))
            rows.add(none, (now[1:], -1.0), (now[:-1], 1.0), (2 * block + now[1:], -1.0))
            if self.problem.initial_replicas is not None:
                first = np.array([float(self.problem.initial_replicas[v])])
                rows.add(first, (now[:1], 1.0), (block + now[:1], -1.0))
                rows.add(-first, (now[:1], -1.0), (2 * block + now[:1], -1.0))


def _merge(problem: ClairvoyantProblem, *, with_switching: bool) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the merged step of each step and a step of each: neighbours, or, without switching, all that are equal."""
    if with_switching:
        groups = find_groups(problem.needs)
        return groups, np.flatnonzero(np.diff(groups, prepend=-1)).astype(np.int64)
    _, begins, groups = np.unique(problem.needs, axis=1, return_index=True, return_inverse=True)
    return np.asarray(groups, dtype=np.int64).reshape(-1), np.asarray(begins, dtype=np.int64)


def _certify(layout: _Layout, matrix: csr_array, highs: FloatArray, prices: FloatArray) -> float:
    """Return the value of `prices` in the dual, whatever they are a valid bound [currency]."""
    reduced = layout.costs + matrix.T @ prices
    least = np.minimum(layout.lows * reduced, layout.highs * reduced)
    return max(math.fsum(least.tolist()) - math.fsum((prices * highs).tolist()), 0.0)
