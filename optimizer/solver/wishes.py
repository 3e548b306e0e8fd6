"""The order of wishes as digits of one whole number: least cost, fewest moves, most spare capacity, then names.

A higher wish is never given up for a lower one, and equals are told apart exactly.

Source: lexicographic optimization by weights that cannot overflow; derived.
"""

from __future__ import annotations

from collections.abc import Sequence

from optimizer.solver.formulation import find_most_replicas, to_units
from optimizer.solver.problem import ModelProblem, VariantLine

_SPARE_PARTS = 10**6  # of the highest capacity: what differs by less is equally spare


def weigh_wishes(problem: ModelProblem, highest_per_s: float | None = None) -> list[tuple[int, int]]:
    """Return for every line the weight of one more, up to the present replicas and beyond.

    `highest_per_s` [1/s] is the capacity that spare capacity is measured by, that of the fastest line for None.
    """
    lines = problem.lines
    most = [int(find_most_replicas(problem, line)) for line in lines]
    names = _weigh_names(lines, most)
    highest = highest_per_s or max((line.capacity_per_s for line in lines), default=0.0) or 1.0
    spare = [count_spare_parts(line, highest) for line in lines]
    of_spare = 1 + sum(name * top for name, top in zip(names, most, strict=True))
    of_moves = of_spare * (1 + sum(part * top for part, top in zip(spare, most, strict=True)))
    of_cost = of_moves * (1 + sum(max(top, line.present_replicas) for line, top in zip(lines, most, strict=True)))
    weights = []
    for line, name, part in zip(lines, names, spare, strict=True):
        rent, start, stop = map(to_units, (line.cost_per_hour, line.start_cost_per_hour, line.stop_cost_per_hour))
        last = -part * of_spare - name
        weights.append(((rent - stop) * of_cost - of_moves + last, (rent + start) * of_cost + of_moves + last))
    return weights


def count_spare_parts(line: VariantLine, highest_per_s: float) -> int:
    """Return the capacity of one replica of `line` in parts of `highest_per_s` [1/s]: a difference below is none."""
    return round(line.capacity_per_s / highest_per_s * _SPARE_PARTS)


def _weigh_names(lines: Sequence[VariantLine], most: Sequence[int]) -> list[int]:
    """Return a weight for each line such that one more of a name counts more than all that come after it."""
    weights, weight = [0] * len(lines), 1
    for index in sorted(range(len(lines)), key=lambda place: lines[place].key, reverse=True):
        weights[index] = weight
        weight *= most[index] + 1
    return weights
