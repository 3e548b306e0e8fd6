"""The best path within a narrow corridor around another one: joint moves that one variant alone would not make.

In each step only fleets within a few replicas of the given path are looked at, w along each axis, so that it works for
many variants; the program over them is exact. Source: discrete differential dynamic programming (Heidari, 1971).
"""

from __future__ import annotations

import numpy as np

from optimizer.solver.clairvoyant.problem import (
    NEED_TOLERANCE_RATIO,
    BoolArray,
    ClairvoyantProblem,
    add_up,
    exceeds,
    get_milliseconds,
    get_price_units,
    to_units,
)
from optimizer.solver.clairvoyant.program import FORBIDDEN_UNITS
from optimizer.solver.min_plus import IntArray

MOST_FLEETS = 256
_WIDEST = 5


def improve_within_corridor(problem: ClairvoyantProblem, path: IntArray) -> IntArray:
    """Return the cheapest path, T by V, that stays near `path` and serves everything; `path` itself where none does."""
    variants, steps = len(problem.variants), len(path)
    width = max(2, min(_WIDEST, int(MOST_FLEETS ** (1.0 / variants) + 1e-9)))
    lows = np.maximum(path - (width - 1) // 2, 0)
    if width == 2:
        lows = np.maximum(path - np.arange(steps)[:, np.newaxis] // 7 % 2, 0)  # room above here, below there
    milliseconds = get_milliseconds(problem).tolist()
    prices = [get_price_units(variant) for variant in problem.variants]
    values = np.zeros((width,) * variants, dtype=np.int64)
    kept: list[IntArray] = []
    for step in reversed(range(steps)):
        if step < steps - 1:
            values = _move(problem, values, lows[step], lows[step + 1])
        counts = _list_counts(lows[step], width)
        during = values
        for count, price in zip(counts, prices, strict=True):
            during = during + count * (price * milliseconds[step])
        during[~_serves(problem, counts, step)] = FORBIDDEN_UNITS
        kept.append(during)
        values = during
    return _walk(problem, kept[::-1], lows, path)


def _list_counts(lows: IntArray, width: int) -> list[IntArray]:
    """Return the replicas along each axis, shaped to broadcast against the others."""
    axes = range(len(lows))
    return [
        np.arange(low, low + width, dtype=np.int64).reshape([-1 if axis == other else 1 for other in axes])
        for axis, low in enumerate(lows.tolist())
    ]


def _serves(problem: ClairvoyantProblem, counts: list[IntArray], step: int) -> BoolArray:
    """Return which fleets of one step may be."""
    allowed = np.ones((counts[0].size,) * len(counts), dtype=np.bool_)
    for variant, count in zip(problem.variants, counts, strict=True):
        allowed &= count >= variant.min_replicas
        if variant.max_replicas is not None:
            allowed &= count <= variant.max_replicas
    for row, needs in zip(problem.capacities, problem.needs, strict=True):
        allowed &= add_up(row, counts) >= needs[step] * (1.0 - NEED_TOLERANCE_RATIO)
    for cap in problem.caps:
        allowed &= ~exceeds(cap, counts)
    if problem.condition is not None:
        allowed &= problem.condition(counts)
    return allowed


def _move(problem: ClairvoyantProblem, values: IntArray, lows: IntArray, next_lows: IntArray) -> IntArray:
    """Return the least cost of moving from each fleet above `lows` to one above `next_lows`, plus its value."""
    width = values.shape[0]
    for axis, variant in enumerate(problem.variants):
        shift = int(next_lows[axis] - lows[axis])
        more = np.arange(width) + shift - np.arange(width)[:, np.newaxis]
        costs = np.maximum(more, 0) * to_units(variant.start_cost) + np.maximum(-more, 0) * to_units(variant.stop_cost)
        line = np.moveaxis(values, axis, -1)
        values = np.moveaxis((line[..., np.newaxis, :] + costs).min(axis=-1), -1, axis)
    return values


def _walk(problem: ClairvoyantProblem, kept: list[IntArray], lows: IntArray, path: IntArray) -> IntArray:
    before = problem.initial_replicas
    best = []
    for during, low in zip(kept, lows, strict=True):
        total = during
        if before is not None:
            for axis, count in enumerate(_list_counts(low, during.shape[0])):
                variant = problem.variants[axis]
                start, stop = to_units(variant.start_cost), to_units(variant.stop_cost)
                more = count - before[axis]
                total = total + np.maximum(more, 0) * start + np.maximum(-more, 0) * stop
        place = int(np.argmin(total))
        if int(during.reshape(-1)[place]) >= FORBIDDEN_UNITS:
            return path
        index = np.unravel_index(place, during.shape)
        before = tuple(int(offset) + int(first) for offset, first in zip(index, low, strict=True))
        best.append(before)
    return np.array(best, dtype=np.int64)
