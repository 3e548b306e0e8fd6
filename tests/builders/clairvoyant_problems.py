"""Small random problems for a planner with perfect foresight, and their optimum by trying everything."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from optimizer.domain import VariantKey
from optimizer.solver.clairvoyant.problem import (
    NEED_TOLERANCE_RATIO,
    ClairvoyantProblem,
    ClairvoyantVariant,
    ReplicaCap,
    compute_path_units,
    get_milliseconds,
    get_price_units,
    to_units,
)
from optimizer.solver.min_plus import IntArray

Fleet = tuple[int, ...]


def make_variant(number: int, price: float, start: float = 0.0, stop: float = 0.0) -> ClairvoyantVariant:
    return ClairvoyantVariant(VariantKey("prod", "llm", f"v{number}"), price, start, stop)


def draw_problem(rng: random.Random, variants: int, steps: int, most: int, rows: int = 1) -> ClairvoyantProblem:
    """Draw a problem whose box has at most about `most` replicas of each variant."""
    lines = []
    for number in range(variants):
        line = make_variant(number, rng.choice([0.0, 1.0, 1.5, 2.95, 7.2]), rng.choice([0.0, 0.02, 0.1, 0.7]))
        lines.append(
            replace(
                line,
                stop_cost=rng.choice([0.0, 0.0, 0.05, 0.3]),
                min_replicas=rng.choice([0, 0, 0, 1]),
                max_replicas=rng.choice([None, None, most, 2]),
            )
        )
    capacities = np.array([[rng.choice([1.0, 1.5, 2.25, 3.0]) for _ in lines] for _ in range(rows)])
    rates = [0.0, 0.7, 1.0, 1.5, 2.9, 3.0, float(most)]
    needs = np.array([[rng.choice(rates) for _ in range(steps)] for _ in range(rows)])
    caps = [ReplicaCap("gpus", tuple(float(rng.choice([0, 1, 2])) for _ in lines), rng.choice([2.0, 3.0, 5.0]))]
    return ClairvoyantProblem(
        tuple(lines),
        np.array([rng.choice([60.0, 300.0, 900.0]) for _ in range(steps)]),
        capacities,
        needs,
        tuple(caps) if rng.random() < 0.4 else (),
        tuple(rng.randint(0, 3) for _ in lines) if rng.random() < 0.5 else None,
    )


def solve_by_pairs(
    problem: ClairvoyantProblem, most: int, penalties_per_unit: tuple[float, ...] | None = None
) -> int | None:
    """Return the least cost [cost units] over all paths through fleets of up to `most` of each, pair by pair of fleets.

    With penalties, what is lacking is charged for, each step and row rounded down, equal neighbouring steps as one.
    """
    fleets = list(itertools.product(range(most + 1), repeat=len(problem.variants)))
    moves = _count_moves(problem, np.array(fleets, dtype=np.int64))
    values = np.zeros(len(fleets), dtype=np.int64)
    for low, high in reversed(list(_find_stretches(problem)) if penalties_per_unit else _each(problem)):
        charges = [_charge(problem, fleet, low, high, penalties_per_unit) for fleet in fleets]
        allowed = np.array([charge is not None for charge in charges])
        if not allowed.any():
            return None
        during = (np.array([charge or 0 for charge in charges], dtype=np.int64) + values)[allowed]
        values = (moves[:, allowed] + during[np.newaxis, :]).min(axis=1)
    return int(during.min() if problem.initial_replicas is None else values[fleets.index(problem.initial_replicas)])


def solve_by_paths(problem: ClairvoyantProblem, most: int) -> int | None:
    """Return the least cost [cost units] of all paths, each of them added up on its own."""
    fleets = list(itertools.product(range(most + 1), repeat=len(problem.variants)))
    allowed = [
        [fleet for fleet in fleets if _charge(problem, fleet, step, step + 1, None) is not None]
        for step in range(len(problem.durations_s))
    ]
    return min(
        (compute_path_units(problem, np.array(path, dtype=np.int64)) for path in itertools.product(*allowed)),
        default=None,
    )


def _each(problem: ClairvoyantProblem) -> list[tuple[int, int]]:
    return [(step, step + 1) for step in range(len(problem.durations_s))]


def _find_stretches(problem: ClairvoyantProblem) -> Iterator[tuple[int, int]]:
    columns = [tuple(column) for column in problem.needs.T.tolist()]
    begin = 0
    for step in range(1, len(columns) + 1):
        if step == len(columns) or columns[step] != columns[begin]:
            yield begin, step
            begin = step


def _charge(
    problem: ClairvoyantProblem, fleet: Fleet, low: int, high: int, penalties_per_unit: tuple[float, ...] | None
) -> int | None:
    """Return what `fleet` costs in steps `low` to `high` - 1 [cost units], None where it may not be."""
    for variant, count in zip(problem.variants, fleet, strict=True):
        if count < variant.min_replicas or (variant.max_replicas is not None and count > variant.max_replicas):
            return None
    for cap in problem.caps:
        if sum(use * count for use, count in zip(cap.coefficients, fleet, strict=True)) > cap.amount:
            return None
    duration_ms = int(get_milliseconds(problem)[low:high].sum())
    cost = sum(get_price_units(line) * duration_ms * count for line, count in zip(problem.variants, fleet, strict=True))
    for number, (row, needs) in enumerate(zip(problem.capacities.tolist(), problem.needs.tolist(), strict=True)):
        given = sum(gain * count for gain, count in zip(row, fleet, strict=True))
        if penalties_per_unit is not None:
            cost += int(max(needs[low] - given, 0.0) * (to_units(penalties_per_unit[number]) / 1e3 * duration_ms))
        elif given < needs[low] * (1.0 - NEED_TOLERANCE_RATIO):
            return None
    return cost


def _count_moves(problem: ClairvoyantProblem, fleets: IntArray) -> IntArray:
    """Return what a move from every fleet (row) to every fleet (column) costs [cost units]."""
    more = fleets[np.newaxis, :, :] - fleets[:, np.newaxis, :]
    starts = np.array([to_units(variant.start_cost) for variant in problem.variants], dtype=np.int64)
    stops = np.array([to_units(variant.stop_cost) for variant in problem.variants], dtype=np.int64)
    costs: IntArray = (np.maximum(more, 0) * starts + np.maximum(-more, 0) * stops).sum(axis=2)
    return costs
