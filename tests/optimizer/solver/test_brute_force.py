"""The solver against brute force on random small instances: cost, bounds, limits, routings, lead times."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest

from optimizer.domain import (
    DecisionSettings,
    Limit,
    LimitKind,
    ModelKey,
    Need,
    NeedEntry,
    Routing,
    SolveStatus,
    VariantKey,
)
from optimizer.solver import ModelProblem, VariantLine, solve_fleet
from tests.builders.solver_problems import draw_limits, draw_problem

Counts = tuple[int, ...]


def is_within_bounds(problem: ModelProblem, counts: Counts) -> bool:
    floor = sum(line.min_replicas for line in problem.lines)
    most = problem.max_replicas
    return sum(counts) >= problem.min_replicas and (most is None or sum(counts) <= max(most, floor))


def serves(problem: ModelProblem, counts: Counts, lead_time_s: float) -> float:
    """Capacity by `lead_time_s`, from the definition."""
    there = []
    for line, count in zip(problem.lines, counts, strict=True):
        late = sum(wait_s > lead_time_s for wait_s in line.starting_s)
        early = count if line.startup_s <= lead_time_s else min(count, line.present_replicas - late)
        if line.capacity_per_s > 0:
            there.append((line.capacity_per_s, early, count))
    if problem.routing is Routing.WEIGHTED:
        return sum(capacity * early for capacity, early, _ in there)
    slowest = min((capacity for capacity, _, count in there if count), default=0.0)
    return slowest * sum(early for _, early, _ in there)


def meets(problem: ModelProblem, counts: Counts) -> bool:
    return all(serves(problem, counts, entry.lead_time_s) >= entry.rate_per_s - 1e-9 for entry in problem.need.entries)


def cost(problem: ModelProblem, counts: Counts) -> float:
    total = 0.0
    for line, count in zip(problem.lines, counts, strict=True):
        change = count - line.present_replicas
        total += line.cost_per_hour * count
        total += line.start_cost_per_hour * max(change, 0) + line.stop_cost_per_hour * max(-change, 0)
    return total


def list_counts(problem: ModelProblem) -> list[Counts]:
    """All counts within bounds; more of what serves nothing only where nothing else fills the least replicas."""
    fillers = sum(line.max_replicas or 0 for line in problem.lines if line.capacity_per_s > 0)
    serves_all = fillers >= problem.min_replicas
    ranges = [
        range(line.min_replicas, line.min_replicas + 1)
        if line.capacity_per_s == 0 and serves_all
        else range(line.min_replicas, (line.max_replicas or 0) + 1)
        for line in problem.lines
    ]
    return [counts for counts in itertools.product(*ranges) if is_within_bounds(problem, counts)]


def keeps(limits: tuple[Limit, ...], problems: tuple[ModelProblem, ...], chosen: tuple[Counts, ...]) -> bool:
    counts = {
        line.key: count
        for problem, row in zip(problems, chosen, strict=True)
        for line, count in zip(problem.lines, row, strict=True)
    }
    return all(
        limit.amount is None or sum(use * counts[key] for key, use in limit.coefficients.items()) <= limit.amount
        for limit in limits
    )


def find_best(problems: tuple[ModelProblem, ...], limits: tuple[Limit, ...], *, whole: bool) -> float | None:
    """Least cost over all counts of all models together; with `whole` only of those that meet every need."""
    known = [limit for limit in limits if limit.amount is not None]
    totals, uses = np.zeros(1), np.zeros((1, len(known)))
    for problem in problems:
        options = [counts for counts in list_counts(problem) if not whole or meets(problem, counts)]
        if not options:
            return None
        costs = np.array([cost(problem, counts) for counts in options])
        own = np.array([[limit.coefficients.get(line.key, 0.0) for line in problem.lines] for limit in known])
        used = np.array(options) @ own.T if known else np.zeros((len(options), 0))
        totals = (totals[:, None] + costs).ravel()
        uses = (uses[:, None, :] + used).reshape(len(totals), len(known))
    kept = totals[(uses <= [limit.amount for limit in known]).all(axis=1)] if known else totals
    return float(kept.min()) if kept.size else None


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 8))])
def test_agrees_with_brute_force(seed: int) -> None:
    rng = random.Random(seed)
    seen = dict.fromkeys(SolveStatus, 0)
    for _ in range(130):
        models = rng.choice([1, 1, 1, 2, 3])
        most = {1: 4, 2: 2, 3: 2}[models]
        problems = tuple(draw_problem(rng, number, rng.randint(1, most)) for number in range(models))
        limits = draw_limits(rng, problems)
        plans = solve_fleet(problems, limits, DecisionSettings())
        best = find_best(problems, limits, whole=True)
        chosen = tuple(tuple(line.replicas for line in plan.allocations) for plan in plans)
        for plan in plans:
            seen[plan.status] += 1
        if best is None:
            assert all(plan.status is not SolveStatus.FEASIBLE for plan in plans)
            assert any(plan.status in (SolveStatus.SHORTAGE, SolveStatus.FAILED) for plan in plans)
            if find_best(problems, limits, whole=False) is None:
                assert any(plan.status is SolveStatus.FAILED for plan in plans)
                continue
        else:
            assert [plan.status for plan in plans] == [SolveStatus.OPTIMAL] * len(plans)
            total = sum(cost(problem, counts) for problem, counts in zip(problems, chosen, strict=True))
            assert total == pytest.approx(best, abs=1e-6)
            assert all(meets(problem, counts) for problem, counts in zip(problems, chosen, strict=True))
        assert keeps(limits, problems, chosen)
        for problem, plan, counts in zip(problems, plans, chosen, strict=True):
            assert counts in list_counts(problem)
            rent = sum(line.cost_per_hour * n for line, n in zip(problem.lines, counts, strict=True))
            assert plan.cost_per_hour == pytest.approx(rent)
    assert seen[SolveStatus.OPTIMAL] > 20
    assert seen[SolveStatus.SHORTAGE] > 10


def make_line(name: str, capacity_per_s: float, cost_per_hour: float, model: str = "m", **more: int) -> VariantLine:
    line = VariantLine(VariantKey("prod", model, name), capacity_per_s, cost_per_hour)
    return replace(line, **more)  # type: ignore[arg-type]


def make_problem(rate_per_s: float, *lines: VariantLine, priority: int = 0, model: str = "m") -> ModelProblem:
    need = Need((NeedEntry(60.0, rate_per_s, priority=priority),))
    return ModelProblem(ModelKey("prod", model), lines, need, routing=Routing.WEIGHTED)


def get_replicas(problem: ModelProblem, *limits: Limit) -> list[int]:
    (plan,) = solve_fleet((problem,), limits, DecisionSettings())
    return [line.replicas for line in plan.allocations]


def test_integers_beat_the_fractional_optimum() -> None:
    problem = make_problem(3.0, make_line("h100", 24.0, 2.95), make_line("l40s", 3.3, 1.55))
    (plan,) = solve_fleet((problem,), (), DecisionSettings())
    assert [line.replicas for line in plan.allocations] == [0, 1]
    assert plan.runner_up is not None
    assert [line.replicas for line in plan.runner_up] == [1, 0]
    assert plan.runner_up_cost_per_hour == pytest.approx(2.95)
    assert plan.gap_ratio == 0.0
    assert plan.bound_per_hour == pytest.approx(1.55)


def test_ties_go_to_fewest_moves_then_most_spare_then_name() -> None:
    moves = make_problem(2.0, make_line("a", 1.0, 1.0), make_line("b", 1.0, 1.0, present_replicas=2))
    assert get_replicas(moves) == [0, 2]
    spare = make_problem(2.0, make_line("a", 2.0, 2.0), make_line("b", 2.5, 2.0))
    assert get_replicas(spare) == [0, 1]
    name = make_problem(2.0, make_line("b", 2.0, 2.0), make_line("a", 2.0, 2.0))
    assert get_replicas(name) == [0, 1]


def test_a_higher_class_is_served_first_in_a_shortage_and_equals_share_alike() -> None:
    limit = Limit(
        "gpus",
        LimitKind.ACCELERATORS,
        {VariantKey("prod", "high", "v"): 1.0, VariantKey("prod", "low", "v"): 1.0},
        6.0,
    )
    for priorities, expected in (((1, 0), [4, 2]), ((0, 1), [2, 4]), ((0, 0), [3, 3])):
        problems = tuple(
            make_problem(4.0, make_line("v", 1.0, 1.0, model), priority=priority, model=model)
            for model, priority in zip(("high", "low"), priorities, strict=True)
        )
        plans = solve_fleet(problems, (limit,), DecisionSettings())
        assert [plan.allocations[0].replicas for plan in plans] == expected
        assert SolveStatus.SHORTAGE in [plan.status for plan in plans]


def test_a_binding_limit_has_a_price_and_an_unknown_one_never_binds() -> None:
    fast, slow = make_line("fast", 2.0, 1.0), make_line("slow", 1.0, 3.0)
    problem = make_problem(8.0, fast, slow)
    for amount, replicas, names in ((2.0, [2, 4], ["gpus"]), (None, [4, 0], []), (9.0, [4, 0], [])):
        limit = Limit("gpus", LimitKind.ACCELERATORS, {fast.key: 1.0}, amount)
        (plan,) = solve_fleet((problem,), (limit,), DecisionSettings())
        assert [line.replicas for line in plan.allocations] == replicas
        assert [entry.name for entry in plan.binding] == names
        if names:
            assert plan.binding[0].marginal_price_per_hour == pytest.approx(2 * 3.0 - 1.0)


def test_fixed_replicas_are_wishes_that_bounds_and_limits_bind() -> None:
    lines = (make_line("a", 1.0, 1.0, max_replicas=3), make_line("b", 0.0, 1.0, min_replicas=1))
    problem = ModelProblem(ModelKey("prod", "m"), lines, Need(), fixed={lines[0].key: 7, lines[1].key: 2})
    assert get_replicas(problem) == [3, 2]
    assert get_replicas(problem, Limit("gpus", LimitKind.QUOTA, {line.key: 1.0 for line in lines}, 3.0)) in (
        [2, 1],
        [1, 2],
    )


def test_contradicting_bounds_fail_and_keep_what_is_there() -> None:
    line = make_line("a", 1.0, 1.0, min_replicas=3, present_replicas=2)
    (plan,) = solve_fleet(
        (make_problem(1.0, line),), (Limit("gpus", LimitKind.QUOTA, {line.key: 1.0}, 2.0),), DecisionSettings()
    )
    assert (plan.status, plan.allocations[0].replicas) == (SolveStatus.FAILED, 2)
    assert plan.reason is not None


def test_a_new_replica_does_not_count_before_it_can_be_ready() -> None:
    slow_start = VariantLine(VariantKey("prod", "m", "slow"), 1.0, 1.0, startup_s=300.0)
    quick_start = VariantLine(VariantKey("prod", "m", "quick"), 1.0, 2.0, startup_s=30.0)
    need = Need((NeedEntry(30.0, 2.0), NeedEntry(300.0, 5.0)))
    problem = ModelProblem(ModelKey("prod", "m"), (slow_start, quick_start), need, routing=Routing.WEIGHTED)
    assert get_replicas(problem) == [3, 2]
