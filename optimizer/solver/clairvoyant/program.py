"""The dynamic program over all fleets of a box, backward in time, and the path it finds. It knows no trace.

    W_t(y) = rent of y during t + (0 where y serves t, else forbidden, or the price of what y lacks) + V_(t+1)(y)
    V_t(y) = min over y' of [ cost of moving from y to y' + W_t(y') ],      V_(T+1) = 0

Everything is a whole number of cost units, so that the optimum is exact and ties are real. A step costs a few passes
over the array (see `min_plus`); states are counted once, whatever the number of targets. For the path the arrays W_t
are kept, or, where they would not fit, made anew stretch by stretch from the V at its end.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from optimizer.errors import InvalidInput
from optimizer.solver.clairvoyant.merging import find_groups
from optimizer.solver.clairvoyant.problem import (
    MOST_UNITS,
    ClairvoyantProblem,
    FloatArray,
    get_milliseconds,
    get_price_units,
    to_units,
)
from optimizer.solver.clairvoyant.states import StateSpace, make_states, rank_needs
from optimizer.solver.formulation import COST_UNIT_PER_HOUR
from optimizer.solver.min_plus import IntArray, compute_move_costs, relax_moves

FORBIDDEN_UNITS = 2 * MOST_UNITS
KEPT_BYTES = 64 * 2**20
"""Arrays of one stretch of the path together take no more than this, or two arrays."""


@dataclass(slots=True, eq=False)
class Program:
    """A problem made ready: equal steps merged, fleets ranked.

    Attributes
    ----------
    problem
        What it is made of.
    states
        The box.
    groups
        Merged step of every step, T whole numbers.
    rents
        Cost of one replica of each variant for the whole of each merged step [cost units], G by V.
    initial
        Index of the replicas before the first step, None when free.
    """

    problem: ClairvoyantProblem
    states: StateSpace
    groups: IntArray
    rents: IntArray
    initial: tuple[int, ...] | None
    _durations_ms: IntArray
    _needs: FloatArray
    _least_ranks: IntArray
    _ranks: tuple[IntArray, ...]
    _penalties: FloatArray | None
    _starts: tuple[int, ...] = field(init=False)
    _stops: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._starts = tuple(to_units(variant.start_cost) for variant in self.problem.variants)
        self._stops = tuple(to_units(variant.stop_cost) for variant in self.problem.variants)
        most = [low + size - 1 for low, size in zip(self.states.lows, self.states.shape, strict=True)]
        rent = sum(int(column.sum()) * count for column, count in zip(self.rents.T, most, strict=True))
        moves = sum((up + down) * count for up, down, count in zip(self._starts, self._stops, most, strict=True))
        if rent + moves * (self.steps + 1) >= MOST_UNITS:
            raise InvalidInput("cost of the largest fleet over all steps", f"< {MOST_UNITS} cost units", rent + moves)

    @property
    def steps(self) -> int:
        """Number of merged steps, G."""
        return len(self._durations_ms)

    def solve(self) -> int | None:
        """Return the least cost [cost units], None when no path serves every step."""
        values, first = self._run(0, self.steps, np.zeros(self.states.shape, dtype=np.int64), None)
        best = int(first.min()) if self.initial is None else int(values[self.initial])
        return best if best < MOST_UNITS else None

    def find_path(self) -> tuple[int | None, IntArray]:
        """Return the least cost as `solve` does, and the replicas of a path that has it, T by V (empty for none).

        Among fleets of equal cost, step by step: the fewest starts and stops, then the most capacity of the first row,
        then the fewest replicas of the first variant, of the second and so on.
        """
        stretch = max(1, KEPT_BYTES // (8 * self.states.size))
        edges = [*range(0, self.steps, stretch), self.steps]
        ends = {self.steps: np.zeros(self.states.shape, dtype=np.int64)}
        first = ends[self.steps]
        kept: dict[int, IntArray] = {}
        for low, high in zip(edges[-2::-1], edges[:0:-1], strict=True):
            ends[low], first = self._run(low, high, ends[high], kept if low == 0 else None)
        best = int(first.min()) if self.initial is None else int(ends[0][self.initial])
        if best >= MOST_UNITS:
            return None, np.zeros((0, len(self.states.shape)), dtype=np.int64)
        path = np.array(list(self._walk(edges, ends, kept)), dtype=np.int64).reshape(self.steps, -1)
        return best, (path + np.array(self.states.lows, dtype=np.int64))[self.groups]

    # --- Backward -----------------------------------------------------------------------------------------------------
    def _run(
        self, low: int, high: int, values: IntArray, kept: dict[int, IntArray] | None
    ) -> tuple[IntArray, IntArray]:
        """Return V before step `low` and W in it, from V after step `high` - 1; keep each W on the way."""
        during = values
        for step in reversed(range(low, high)):
            during = self._stay(step, values)
            if kept is not None:
                kept[step] = during
            values = relax_moves(during, self._starts, self._stops)
        return values, during

    def _stay(self, step: int, values: IntArray) -> IntArray:
        """Return W of `step` from V of the next one."""
        rent = np.zeros((), dtype=np.int64)
        for count, price in zip(self.states.counts, self.rents[step].tolist(), strict=True):
            rent = rent + count * price
        during = rent + values
        if self._penalties is None:
            for ranks, least in zip(self._ranks, self._least_ranks[:, step].tolist(), strict=True):
                if least > 0:
                    np.copyto(during, FORBIDDEN_UNITS, where=ranks < least)
        else:
            for row, capacity in enumerate(self.states.capacities):
                if self._penalties[row] > 0.0 < self._needs[row, step]:
                    during += self._charge(row, step, capacity)
        np.copyto(during, FORBIDDEN_UNITS, where=self.states.forbidden)
        return during

    def _charge(self, row: int, step: int, capacity: FloatArray) -> IntArray:
        """Return the price of what every fleet lacks of `row` in `step` [cost units], rounded down."""
        assert self._penalties is not None
        lacking = np.maximum(self._needs[row, step] - capacity, 0.0)
        price = float(self._penalties[row]) * float(self._durations_ms[step])
        charges: IntArray = np.minimum(lacking * price, float(MOST_UNITS // (4 * self.steps))).astype(np.int64)
        return charges

    # --- Forward ------------------------------------------------------------------------------------------------------
    def _walk(
        self, edges: list[int], ends: dict[int, IntArray], kept: dict[int, IntArray]
    ) -> Iterator[tuple[int, ...]]:
        """Yield the index of the fleet of every merged step; `kept` has the W of the first stretch."""
        place = self.initial
        for low, high in itertools.pairwise(edges):
            if low > 0:
                self._run(low, high, ends[high], kept)
            for step in range(low, high):
                place = self._choose(place, kept.pop(step))
                yield place

    def _choose(self, place: tuple[int, ...] | None, during: IntArray) -> tuple[int, ...]:
        """Return the index of the best fleet to be in, coming from `place`."""
        total, moves = during, np.zeros((1,) * during.ndim, dtype=np.int64)
        for axis, origin in enumerate(place or ()):
            shape = [-1 if axis == other else 1 for other in range(during.ndim)]
            size = during.shape[axis]
            total = total + compute_move_costs(size, origin, self._starts[axis], self._stops[axis]).reshape(shape)
            moves = moves + compute_move_costs(size, origin, 1, 1).reshape(shape)
        tied = np.flatnonzero(total == total.min())
        if len(tied) > 1:
            tied = _keep_least(tied, np.broadcast_to(moves, during.shape))
        if len(tied) > 1 and self._ranks:
            tied = _keep_least(tied, -self._ranks[0])
        return tuple(int(index) for index in np.unravel_index(int(tied[0]), during.shape))


def _keep_least(places: IntArray, values: IntArray) -> IntArray:
    """Return those of the flat `places` where `values` is least."""
    found = values.reshape(-1)[places]
    kept: IntArray = places[found == found.min()]
    return kept


def make_program(
    problem: ClairvoyantProblem,
    penalties_per_unit: tuple[float, ...] | None = None,
    extra_rents: FloatArray | None = None,
) -> Program:
    """Return `problem` made ready for solving.

    Parameters
    ----------
    problem
        What to solve.
    penalties_per_unit
        By row, the price of one unit that is lacking [currency]: needs are then charged for instead of asked for.
    extra_rents
        What is added to the price of one replica in each step [currency/h], T by V: rounded down.

    Raises
    ------
    InvalidInput
        If costs get too large for whole cost units.
    """
    states = make_states(problem)
    ranks, least = rank_needs(states, problem.needs)
    milliseconds = get_milliseconds(problem)
    prices = np.array([[get_price_units(variant) for variant in problem.variants]], dtype=np.int64)
    prices = np.repeat(prices, len(milliseconds), axis=0)
    if extra_rents is not None:
        prices = prices + np.floor(extra_rents / COST_UNIT_PER_HOUR).astype(np.int64)
    groups = find_groups(least if penalties_per_unit is None else problem.needs, prices.T)
    begins = np.flatnonzero(np.diff(groups, prepend=-1))
    durations_ms = np.add.reduceat(milliseconds, begins)
    initial = problem.initial_replicas
    return Program(
        problem=problem,
        states=states,
        groups=groups,
        rents=prices[begins] * durations_ms[:, np.newaxis],
        initial=None
        if initial is None
        else tuple(first - low for first, low in zip(initial, states.lows, strict=True)),
        _durations_ms=durations_ms,
        _needs=problem.needs[:, begins],
        _least_ranks=least[:, begins],
        _ranks=ranks,
        _penalties=None if penalties_per_unit is None else _to_units_per_millisecond(penalties_per_unit),
    )


def _to_units_per_millisecond(penalties_per_unit: tuple[float, ...]) -> FloatArray:
    """Return prices of a unit [currency] as those of a unit per second lacking for a millisecond [cost units]."""
    return np.array([to_units(price) / 1e3 for price in penalties_per_unit], dtype=np.float64)
