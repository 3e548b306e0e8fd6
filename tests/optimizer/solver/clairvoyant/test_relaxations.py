"""Bounds below the optimum and paths above it: linear relaxation, priced misses, priced caps, incumbents."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace

import numpy as np
import pytest

from optimizer.errors import InvalidInput
from optimizer.solver.clairvoyant.incumbent import find_incumbent
from optimizer.solver.clairvoyant.missing import compute_miss_bound
from optimizer.solver.clairvoyant.optimum import solve_clairvoyant
from optimizer.solver.clairvoyant.price_paths import SharedCap, compute_price_bound, join_problems
from optimizer.solver.clairvoyant.problem import (
    ClairvoyantProblem,
    compute_path_cost,
    is_path_feasible,
)
from optimizer.solver.clairvoyant.time_expanded import solve_time_expanded
from tests.builders.clairvoyant_problems import Fleet, add_up_path, draw_problem, make_variant

ROUNDING = 1e-7


def draw_day(seed: int, steps: int, peak_per_s: float) -> ClairvoyantProblem:
    """Draw a day of two variants with noise on a smooth curve."""
    generator = np.random.default_rng(seed)
    hours = np.arange(steps) * 24.0 / steps
    rates = peak_per_s * (0.55 - 0.45 * np.cos(hours * math.pi / 12.0)) * np.exp(generator.normal(0.0, 0.1, steps))
    lines = make_variant(0, 1.0, start=1.0 / 30.0), make_variant(1, 1.7, start=1.7 / 30.0)
    return ClairvoyantProblem(lines, np.full(steps, 86_400.0 / steps), np.array([[5.0, 9.0]]), rates[np.newaxis, :])


def test_the_relaxation_is_below_the_optimum_and_without_switching_lower_still() -> None:
    rng = random.Random(11)
    infeasible = 0
    for _ in range(120):
        problem = draw_problem(rng, rng.choice([1, 2, 3]), 6, 3, rows=rng.choice([1, 2]))
        optimum = solve_clairvoyant(problem).cost
        relaxed, free = solve_time_expanded(problem).bound, solve_time_expanded(problem, with_switching=False).bound
        infeasible += optimum == math.inf
        assert free <= relaxed + ROUNDING
        assert relaxed <= optimum + ROUNDING
    assert infeasible < 70


def test_without_integers_in_the_way_the_relaxation_is_the_optimum() -> None:
    line = make_variant(0, 1.0, start=0.3, stop=0.1)
    needs = np.array([[2.0, 4.0, 2.0, 6.0, 2.0]])
    problem = ClairvoyantProblem((line,), np.full(5, 600.0), np.array([[2.0]]), needs, initial_replicas=(1,))
    assert solve_time_expanded(problem).bound == pytest.approx(solve_clairvoyant(problem).cost, abs=1e-6)


def test_a_day_stands_in_the_order_of_its_ladder() -> None:
    problem = draw_day(1, 144, 60.0)
    optimum = solve_clairvoyant(problem, with_path=True)
    relaxed, free = solve_time_expanded(problem), solve_time_expanded(problem, with_switching=False)
    offered = float((problem.needs * problem.durations_s).sum())
    almost = compute_miss_bound(problem, (0.01 * offered,))
    found = find_incumbent(problem, relaxed.replicas)
    assert found is not None
    assert is_path_feasible(problem, found)
    assert free.bound <= relaxed.bound <= optimum.cost <= compute_path_cost(problem, found)
    assert almost.cost < optimum.cost
    assert almost.cost > 0.9 * optimum.cost
    assert compute_path_cost(problem, found) < 1.02 * optimum.cost
    assert optimum.path is not None
    assert compute_path_cost(problem, optimum.path) == optimum.cost


def test_whoever_lacks_no_more_than_allowed_costs_no_less_than_the_bound() -> None:
    rng = random.Random(21)
    for _ in range(40):
        problem = replace(draw_problem(rng, rng.choice([1, 2]), 3, 2), caps=(), initial_replicas=None)
        offered = float((problem.needs * problem.durations_s).sum())
        allowance = rng.choice([0.02, 0.1, 0.3]) * offered
        expected = _find_cheapest_that_lacks(problem, allowance)
        if expected is None:
            continue
        found = compute_miss_bound(problem, (allowance,))
        assert found.cost <= expected + ROUNDING
        assert found.cost <= solve_clairvoyant(problem).cost + ROUNDING
        assert solve_time_expanded(problem, allowances=(allowance,)).bound <= expected + ROUNDING
        assert compute_miss_bound(problem, (0.0,)).cost == solve_clairvoyant(problem).cost


def _find_cheapest_that_lacks(problem: ClairvoyantProblem, allowance: float) -> float | None:
    """Return the cost of the cheapest path that lacks at most `allowance` [units], by trying all of them."""
    fleets = [
        fleet
        for fleet in itertools.product(range(4), repeat=len(problem.variants))
        if all(
            line.min_replicas <= count <= (math.inf if line.max_replicas is None else line.max_replicas)
            for line, count in zip(problem.variants, fleet, strict=True)
        )
    ]
    costs = []
    for path in itertools.product(fleets, repeat=len(problem.durations_s)):
        replicas = np.array(path, dtype=np.int64)
        given = (replicas * problem.capacities[0]).sum(axis=1)
        lacking = float((np.maximum(problem.needs[0] - given, 0.0) * problem.durations_s).sum())
        if lacking <= allowance:
            costs.append(float(add_up_path(problem, path)))
    return min(costs, default=None)


def test_a_bound_for_more_misses_is_lower() -> None:
    problem = draw_day(2, 96, 40.0)
    offered = float((problem.needs * problem.durations_s).sum())
    bounds = [compute_miss_bound(problem, (share * offered,)).cost for share in (0.0, 0.001, 0.01, 0.1)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] > 0.8 * bounds[0]


def test_priced_caps_stay_below_the_optimum_of_all_together() -> None:
    rng = random.Random(41)
    binding = 0
    for _ in range(60):
        problems = [replace(draw_problem(rng, rng.choice([1, 2]), 5, 2), initial_replicas=None) for _ in range(2)]
        problems = [replace(problem, durations_s=problems[0].durations_s) for problem in problems]
        uses = tuple(tuple(float(rng.choice([1, 2])) for _ in problem.variants) for problem in problems)
        caps = [SharedCap("gpus", uses, rng.choice([2.0, 3.0, 5.0]))]
        joined = join_problems(problems, caps)
        optimum = solve_clairvoyant(joined).cost
        found = compute_price_bound(problems, caps)
        alone = sum(solve_clairvoyant(problem).cost for problem in problems)
        assert found.cost <= optimum + ROUNDING
        assert found.cost >= min(alone, found.linear_bound) - ROUNDING
        if optimum < math.inf:
            assert found.cost >= found.linear_bound - ROUNDING
            assert found.cost >= alone - ROUNDING
            binding += optimum > alone + ROUNDING
    assert binding >= 3


def test_priced_caps_and_priced_misses_together_stay_below_every_pair_of_paths() -> None:
    rng, binding = random.Random(43), 0
    for _ in range(40):
        problems = [replace(draw_problem(rng, 1, 3, 2), initial_replicas=None, caps=()) for _ in range(2)]
        problems = [replace(problem, durations_s=problems[0].durations_s) for problem in problems]
        allowances = [
            (rng.choice([0.0, 0.1, 0.4]) * float((problem.needs * problem.durations_s).sum()),) for problem in problems
        ]
        amount = rng.choice([2, 3, 4])
        cap = SharedCap("gpus", ((1.0,), (1.0,)), float(amount))
        lines = [_list_paths_that_lack(problem, units) for problem, (units,) in zip(problems, allowances, strict=True)]
        expected = min(
            (
                cost + other
                for (path, cost), (second, other) in itertools.product(*lines)
                if all(one[0] + two[0] <= amount for one, two in zip(path, second, strict=True))
            ),
            default=math.inf,
        )
        found = compute_price_bound(problems, [cap], allowances=allowances)
        assert found.cost <= expected + ROUNDING
        alone = sum(compute_miss_bound(one, units).cost for one, units in zip(problems, allowances, strict=True))
        if found.linear_bound < math.inf:
            assert found.cost >= alone - ROUNDING
        binding += alone + ROUNDING < found.cost < math.inf
    assert binding >= 3


def _list_paths_that_lack(problem: ClairvoyantProblem, allowance: float) -> list[tuple[tuple[Fleet, ...], float]]:
    """Return every path that lacks no more than `allowance` [units] altogether, and its cost [currency]."""
    (line,) = problem.variants
    most = 3 if line.max_replicas is None else min(line.max_replicas, 3)
    fleets: list[Fleet] = [(count,) for count in range(line.min_replicas, most + 1)]
    found = []
    for path in itertools.product(fleets, repeat=len(problem.durations_s)):
        given = np.array(path, dtype=np.float64)[:, 0] * problem.capacities[0, 0]
        lacking = float((np.maximum(problem.needs[0] - given, 0.0) * problem.durations_s).sum())
        if lacking <= allowance:
            found.append((path, float(add_up_path(problem, path))))
    return found


def test_without_binding_caps_the_sum_is_exact() -> None:
    problems = [draw_day(3, 24, 30.0), draw_day(4, 24, 20.0)]
    found = compute_price_bound(problems, [SharedCap("gpus", ((1.0, 1.0), (1.0, 1.0)), 100.0)])
    assert found.cost == pytest.approx(sum(solve_clairvoyant(problem).cost for problem in problems), abs=1e-9)
    assert found.rounds == 1


def test_a_binding_cap_costs_more_than_the_sum() -> None:
    # The cheap variant takes two accelerators where the dear one takes one: under the cap the dear one is needed.
    lines = make_variant(0, 1.0, start=0.01), make_variant(1, 1.6, start=0.01)
    needs = np.array([[4.0, 8.0, 8.0, 4.0]])
    problem = ClairvoyantProblem(lines, np.full(4, 900.0), np.array([[2.0, 2.0]]), needs)
    caps = [SharedCap("gpus", ((2.0, 1.0), (2.0, 1.0)), 12.0)]
    found = compute_price_bound([problem, problem], caps)
    optimum = solve_clairvoyant(join_problems([problem, problem], caps)).cost
    assert 2 * solve_clairvoyant(problem).cost < found.cost <= optimum + ROUNDING
    assert found.cost > 0.97 * optimum


def test_an_incumbent_is_a_path_that_keeps_everything() -> None:
    rng = random.Random(51)
    missed = 0
    for _ in range(80):
        problem = draw_problem(rng, rng.choice([1, 2, 3]), 6, 3)
        optimum = solve_clairvoyant(problem).cost
        relaxed = solve_time_expanded(problem)
        if relaxed.bound == math.inf:
            assert optimum == math.inf
            continue
        found = find_incumbent(problem, relaxed.replicas)
        if found is None:
            missed += optimum < math.inf
            continue
        assert is_path_feasible(problem, found)
        assert optimum <= compute_path_cost(problem, found) + ROUNDING
    assert missed <= 8


def test_problems_of_different_steps_are_not_joined() -> None:
    with pytest.raises(InvalidInput, match="same steps"):
        join_problems([draw_day(1, 24, 10.0), draw_day(1, 48, 10.0)], [])
