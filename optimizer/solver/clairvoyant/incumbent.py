"""A good path where the best is out of reach: round a real-valued one up, then improve one variant at a time.

With all other variants fixed, what one variant must have in each step lies between two whole numbers, and its best
path between them is found exactly by the same min-plus steps along one axis; the best of several
beginnings then moves all variants a little together (see `corridor`), for as long as that saves anything.
"""

from __future__ import annotations

import math

import numpy as np

from optimizer.solver.clairvoyant.corridor import improve_within_corridor
from optimizer.solver.clairvoyant.problem import (
    NEED_TOLERANCE_RATIO,
    ClairvoyantProblem,
    FloatArray,
    add_up,
    compute_path_units,
    get_milliseconds,
    get_price_units,
    is_path_feasible,
    to_units,
)
from optimizer.solver.clairvoyant.program import FORBIDDEN_UNITS
from optimizer.solver.min_plus import IntArray, compute_move_costs, relax_axis

ROUNDS = 5
_ROUNDING = 1e-6


def find_incumbent(problem: ClairvoyantProblem, replicas: FloatArray) -> IntArray | None:
    """Return a path, T by V, that serves everything, None when none was found.

    Parameters
    ----------
    problem
        What to serve.
    replicas
        Where to begin, T by V: rounded up. Each variant alone is tried as well.
    """
    beginnings = [np.ceil(replicas - _ROUNDING).astype(np.int64)]
    least = np.array([variant.min_replicas for variant in problem.variants], dtype=np.int64)
    for number in range(len(problem.variants)):
        alone = np.tile(least, (len(problem.durations_s), 1))
        alone[:, number] = _find_room(problem, alone, number)[0]
        beginnings.append(alone)
    paths = [_improve_lines(problem, beginning) for beginning in beginnings]
    feasible = [path for path in paths if is_path_feasible(problem, path)]
    if not feasible:
        return None
    best = min(feasible, key=lambda path: compute_path_units(problem, path))
    for _ in range(ROUNDS):
        path = _improve_lines(problem, improve_within_corridor(problem, best))
        if compute_path_units(problem, path) >= compute_path_units(problem, best):
            break
        best = path
    return best


def _improve_lines(problem: ClairvoyantProblem, path: IntArray) -> IntArray:
    """Return `path` with one variant after the other improved, until a round saves nothing."""
    cost = math.inf
    for _ in range(ROUNDS):
        for number in range(len(problem.variants)):
            lows, highs = _find_room(problem, path, number)
            if bool(np.all(lows <= highs)):
                path = path.copy()
                path[:, number] = _find_best_line(problem, number, lows, highs)
        now = compute_path_units(problem, path)
        if now >= cost:
            break
        cost = now
    return path


def _find_room(problem: ClairvoyantProblem, path: IntArray, number: int) -> tuple[IntArray, IntArray]:
    """Return the fewest and the most replicas that variant `number` may have in each step beside the others."""
    others = [path[:, other] * (other != number) for other in range(len(problem.variants))]
    variant = problem.variants[number]
    lows = np.full(len(path), float(variant.min_replicas))
    highs = np.full(len(path), math.inf if variant.max_replicas is None else float(variant.max_replicas))
    for row, needs in zip(problem.capacities, problem.needs, strict=True):
        left = needs * (1.0 - NEED_TOLERANCE_RATIO) - add_up(row, others)
        if row[number] > 0.0:
            lows = np.maximum(lows, np.ceil(left / row[number]))
    for cap in problem.caps:
        use = cap.coefficients[number]
        room = cap.amount - add_up(np.array(cap.coefficients), others)
        if use > 0.0:
            highs = np.minimum(highs, np.floor((room + NEED_TOLERANCE_RATIO * (1.0 + cap.amount)) / use))
    highs = np.minimum(highs, max(float(lows.max()), 0.0))
    return lows.astype(np.int64), np.maximum(highs, -1.0).astype(np.int64)


def _find_best_line(problem: ClairvoyantProblem, number: int, lows: IntArray, highs: IntArray) -> IntArray:
    """Return the cheapest replicas of variant `number` between `lows` and `highs`, T whole numbers."""
    variant = problem.variants[number]
    start, stop, price = to_units(variant.start_cost), to_units(variant.stop_cost), get_price_units(variant)
    counts = np.arange(int(highs.max()) + 1, dtype=np.int64)
    values, kept = np.zeros(len(counts), dtype=np.int64), []
    for low, high, duration_ms in zip(lows[::-1], highs[::-1], get_milliseconds(problem)[::-1], strict=True):
        during = values + counts * (price * int(duration_ms))
        during[:low] = FORBIDDEN_UNITS
        during[high + 1 :] = FORBIDDEN_UNITS
        kept.append(during)
        values = relax_axis(during, 0, start, stop)
    line, place = [], None if problem.initial_replicas is None else problem.initial_replicas[number]
    for during in reversed(kept):
        moves = 0 if place is None else compute_move_costs(len(counts), place, start, stop)
        place = int(np.argmin(during + moves))
        line.append(place)
    return np.array(line, dtype=np.int64)
