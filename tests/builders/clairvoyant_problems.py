"""Small random problems for a planner with perfect foresight, and their optimum by trying everything.

What is tried is added up in fractions, from the numbers as they are written, by nothing that the product counts with.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

import numpy as np
import numpy.typing as npt

from optimizer.domain import VariantKey
from optimizer.solver.clairvoyant.problem import ClairvoyantProblem, ClairvoyantVariant, ReplicaCap

Fleet = tuple[int, ...]
HOUR_S = 3600
FORGIVEN = Fraction(1, 10**9)
"""What of a need may be missing."""


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


@cache
def to_exact(value: float) -> Fraction:
    """Return the number that is written, 0.1 for 0.1."""
    return Fraction(repr(float(value)))


@dataclass(frozen=True, slots=True, eq=False)
class _Tables:
    """All fleets of up to so many of each, and what they cost in whole numbers of `1 / scale` currency.

    `costs` are by step and fleet, None where a fleet may not be; `moves` from every fleet (row) to every other.
    """

    fleets: list[Fleet]
    scale: int
    costs: list[list[int | None]]
    moves: npt.NDArray[np.int64]

    @classmethod
    def draw_up(cls, problem: ClairvoyantProblem, most: int, penalties: tuple[float, ...] | None = None) -> _Tables:
        fleets = list(itertools.product(range(most + 1), repeat=len(problem.variants)))
        steps = range(len(problem.durations_s))
        exact = [[compute_step_cost(problem, fleet, step, penalties) for fleet in fleets] for step in steps]
        starts, stops = _list_move_costs(problem)
        parts = [*starts, *stops, *(cost for line in exact for cost in line if cost is not None)]
        scale = math.lcm(*(part.denominator for part in parts))
        counts = np.array(fleets, dtype=np.int64)
        more = counts[np.newaxis, :, :] - counts[:, np.newaxis, :]
        ups, downs = (np.array([int(cost * scale) for cost in line], dtype=np.int64) for line in (starts, stops))
        moves = (np.maximum(more, 0) * ups + np.maximum(-more, 0) * downs).sum(axis=2)
        return cls(
            fleets, scale, [[None if one is None else int(one * scale) for one in line] for line in exact], moves
        )


def solve_by_pairs(
    problem: ClairvoyantProblem, most: int, penalties_per_unit: tuple[float, ...] | None = None
) -> Fraction | None:
    """Return the least cost [currency] over all paths through fleets of up to `most` of each, pair by pair of fleets.

    With penalties, what is lacking is charged for.
    """
    tables = _Tables.draw_up(problem, most, penalties_per_unit)
    values = np.zeros(len(tables.fleets), dtype=np.int64)
    for line in reversed(tables.costs):
        allowed = np.array([cost is not None for cost in line])
        if not allowed.any():
            return None
        during = np.array([cost for cost in line if cost is not None], dtype=np.int64) + values[allowed]
        values = (tables.moves[:, allowed] + during[np.newaxis, :]).min(axis=1)
    initial = problem.initial_replicas
    return Fraction(int(during.min() if initial is None else values[tables.fleets.index(initial)]), tables.scale)


def solve_by_paths(problem: ClairvoyantProblem, most: int) -> Fraction | None:
    """Return the least cost [currency] of all paths, each of them added up on its own."""
    tables = _Tables.draw_up(problem, most)
    moves = tables.moves.tolist()
    allowed = [[(place, cost) for place, cost in enumerate(line) if cost is not None] for line in tables.costs]
    best: int | None = None
    for path in itertools.product(*allowed):
        before = path[0][0] if problem.initial_replicas is None else tables.fleets.index(problem.initial_replicas)
        total = 0
        for place, cost in path:
            total += cost + moves[before][place]
            before = place
        best = total if best is None else min(best, total)
    return None if best is None else Fraction(best, tables.scale)


def add_up_path(problem: ClairvoyantProblem, path: Sequence[Sequence[int]]) -> Fraction:
    """Return what the replicas of `path`, T by V, cost together [currency]; what they serve is not looked at."""
    starts, stops = _list_move_costs(problem)
    total, before = Fraction(), problem.initial_replicas
    for fleet, duration_s in zip(path, problem.durations_s.tolist(), strict=True):
        total += _count_rent(problem, fleet, duration_s)
        total += 0 if before is None else _count_move(before, fleet, starts, stops)
        before = tuple(int(count) for count in fleet)
    return total


def compute_step_cost(
    problem: ClairvoyantProblem, fleet: Fleet, step: int, penalties_per_unit: tuple[float, ...] | None = None
) -> Fraction | None:
    """Return what `fleet` costs in a step [currency], None where it may not be."""
    for variant, count in zip(problem.variants, fleet, strict=True):
        if count < variant.min_replicas or (variant.max_replicas is not None and count > variant.max_replicas):
            return None
    for cap in problem.caps:
        if sum(use * count for use, count in zip(cap.coefficients, fleet, strict=True)) > cap.amount:
            return None
    duration_s = float(problem.durations_s[step])
    cost = _count_rent(problem, fleet, duration_s)
    for number, (row, needs) in enumerate(zip(problem.capacities.tolist(), problem.needs.tolist(), strict=True)):
        given = sum((to_exact(gain) * count for gain, count in zip(row, fleet, strict=True)), Fraction())
        need = to_exact(needs[step])
        if penalties_per_unit is not None:
            cost += max(need - given, Fraction()) * to_exact(penalties_per_unit[number]) * to_exact(duration_s)
        elif given < need * (1 - FORGIVEN):
            return None
    return cost


def _count_rent(problem: ClairvoyantProblem, fleet: Sequence[int], duration_s: float) -> Fraction:
    per_hour = sum(
        (to_exact(line.cost_per_hour) * int(count) for line, count in zip(problem.variants, fleet, strict=True)),
        Fraction(),
    )
    return per_hour * to_exact(duration_s) / HOUR_S


def _list_move_costs(problem: ClairvoyantProblem) -> tuple[list[Fraction], list[Fraction]]:
    starts = [to_exact(variant.start_cost) for variant in problem.variants]
    return starts, [to_exact(variant.stop_cost) for variant in problem.variants]


def _count_move(
    before: Sequence[int], after: Sequence[int], starts: Sequence[Fraction], stops: Sequence[Fraction]
) -> Fraction:
    more = [int(new) - int(old) for old, new in zip(before, after, strict=True)]
    return sum(
        (max(up, 0) * start + max(-up, 0) * stop for up, start, stop in zip(more, starts, stops, strict=True)),
        Fraction(),
    )
