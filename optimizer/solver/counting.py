"""What replica counts amount to: capacity under a routing, use of a limit, lines of a plan. It solves nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from optimizer.domain import Allocation, Limit, Routing, VariantKey
from optimizer.solver.formulation import Formulation, is_in_scope
from optimizer.solver.problem import ModelProblem
from optimizer.solver.program import Answer

Counts = dict[VariantKey, int]


def get_counts(problem: ModelProblem, formulation: Formulation, answer: Answer) -> Counts:
    """Return the replicas of each variant of `problem` in `answer`."""
    return {line.key: round(float(answer.values[formulation.replicas[line.key]])) for line in problem.lines}


def to_counts(problem: ModelProblem, replicas: Sequence[int]) -> Counts:
    """Return `replicas`, in the order of the lines of `problem`, by variant."""
    return {line.key: count for line, count in zip(problem.lines, replicas, strict=True)}


def compute_served_per_s(problem: ModelProblem, counts: Mapping[VariantKey, int]) -> float:
    """Return the capacity of `counts` under the routing of `problem` [1/s]; 0 for none.

    Where every replica gets the same rate, the slowest one in use bounds them all.
    """
    used = [(line.capacity_per_s, counts[line.key]) for line in problem.lines if line.capacity_per_s > 0.0]
    used = [(capacity_per_s, count) for capacity_per_s, count in used if count > 0]
    if problem.routing in (Routing.WEIGHTED, Routing.BUCKETED) or not used:
        return sum(capacity_per_s * count for capacity_per_s, count in used)
    return min(capacity_per_s for capacity_per_s, _ in used) * sum(count for _, count in used)


def get_assumed_routing(problem: ModelProblem) -> Routing:
    """Return the routing that the plan of `problem` rests on: ``uniform`` or ``weighted``."""
    return Routing.WEIGHTED if problem.routing in (Routing.WEIGHTED, Routing.BUCKETED) else Routing.UNIFORM


def compute_use(limit: Limit, counts: Mapping[VariantKey, int]) -> float:
    """Return what `counts` use of `limit`, in its unit."""
    return sum(use * counts.get(key, 0) for key, use in limit.coefficients.items() if is_in_scope(limit, key))


def to_allocations(problem: ModelProblem, counts: Mapping[VariantKey, int]) -> tuple[Allocation, ...]:
    """Return one line per variant, in the order of `problem`."""
    return tuple(
        Allocation(line.key, counts[line.key], line.capacity_per_s, line.cost_per_hour) for line in problem.lines
    )
