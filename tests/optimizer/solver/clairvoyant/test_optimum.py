"""The dynamic program against brute force, and what must hold of every optimum."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from optimizer.errors import InvalidInput
from optimizer.solver.clairvoyant import program as program_module
from optimizer.solver.clairvoyant.merging import drop_dominated
from optimizer.solver.clairvoyant.optimum import solve_clairvoyant
from optimizer.solver.clairvoyant.problem import (
    ClairvoyantProblem,
    is_path_feasible,
    to_units,
)
from optimizer.solver.clairvoyant.program import make_program
from optimizer.solver.min_plus import compute_move_costs, relax_moves
from tests.builders.clairvoyant_problems import (
    add_up_path,
    compute_step_cost,
    draw_problem,
    make_variant,
    solve_by_pairs,
    solve_by_paths,
    to_exact,
)

UNITS_PER_CURRENCY = 36 * 10**9
"""A unit is 1e-4 currency/h over a millisecond."""


def test_the_transform_is_the_minimum_over_all_targets() -> None:
    generator = np.random.default_rng(3)
    for shape in ((7,), (4, 5), (3, 4, 2), (1, 6)):
        values = generator.integers(0, 60, shape)
        starts, stops = generator.integers(0, 9, len(shape)).tolist(), generator.integers(0, 9, len(shape)).tolist()
        found = relax_moves(values, starts, stops)
        for origin in np.ndindex(shape):
            costs = values.copy()
            for axis, count in enumerate(origin):
                line = compute_move_costs(shape[axis], count, starts[axis], stops[axis])
                costs += line.reshape([-1 if axis == other else 1 for other in range(len(shape))])
            assert found[origin] == costs.min()


@pytest.mark.parametrize("variants, most, steps, instances", [(1, 7, 8, 200), (2, 5, 6, 250), (3, 4, 4, 60)])
def test_every_pair_of_fleets_tried_gives_the_same_cost(variants: int, most: int, steps: int, instances: int) -> None:
    rng = random.Random(100 + variants)
    infeasible = 0
    for _ in range(instances):
        problem = draw_problem(rng, variants, steps, most - 1, rows=rng.choice([1, 1, 2]))
        expected = solve_by_pairs(problem, most)
        found = solve_clairvoyant(problem, with_path=True)
        infeasible += expected is None
        if expected is None:
            assert found.cost == math.inf
            assert found.path is None
            continue
        assert found.cost == float(expected)
        assert found.path is not None
        assert is_path_feasible(problem, found.path)
        path = found.path.tolist()
        assert add_up_path(problem, path) == expected
        assert all(compute_step_cost(problem, tuple(fleet), step) is not None for step, fleet in enumerate(path))
        assert solve_clairvoyant(problem).cost == found.cost
    assert infeasible < instances / 2


def test_every_path_tried_gives_the_same_cost() -> None:
    rng = random.Random(7)
    for _ in range(40):
        problem = draw_problem(rng, rng.choice([1, 2]), 3, 2)
        expected = solve_by_paths(problem, 3)
        assert solve_clairvoyant(problem).cost == (math.inf if expected is None else float(expected))


def test_odd_prices_and_lengths_are_rounded_down_and_by_no_more_than_a_unit() -> None:
    """The program counts in 1e-4 currency/h and in milliseconds; what it leaves out never lifts the optimum."""
    rng, below = random.Random(17), 0
    for _ in range(120):
        problem = replace(draw_problem(rng, rng.choice([1, 2]), 4, 3), caps=())
        lengths_s = [rng.choice([0.0015, 15.0006, 60.00049, 7.9999]) for _ in range(4)]
        lines = tuple(
            replace(
                line,
                cost_per_hour=rng.choice([0.79004, 1.00609, 3.99999]),
                start_cost=rng.choice([0.0, 0.0123456789012, 0.00033]),
                max_replicas=None,
            )
            for line in problem.variants
        )
        problem = replace(problem, durations_s=np.array(lengths_s), variants=lines)
        expected = solve_by_pairs(problem, 5)
        assert expected is not None
        found = to_exact(solve_clairvoyant(problem).cost)
        replicas = 5 * len(lines)
        rounded = sum(
            (Fraction(1, 10**4) * to_exact(length_s) + 4 * Fraction(1, 1000)) / 3600 for length_s in lengths_s
        ) + Fraction(4, 36 * 10**9)
        assert expected - replicas * rounded <= found <= expected * (1 + Fraction(1, 10**12))
        below += found < expected
    assert below > 60


@pytest.mark.parametrize("variants, most, steps, instances", [(1, 6, 8, 60), (2, 4, 5, 60), (3, 3, 3, 20)])
def test_what_is_lacking_may_be_charged_for(variants: int, most: int, steps: int, instances: int) -> None:
    rng = random.Random(500 + variants)
    for _ in range(instances):
        problem = draw_problem(rng, variants, steps, most - 1)
        penalty = (rng.choice([0.0001, 0.0004, 0.001, 0.01]),)
        expected = solve_by_pairs(problem, most, penalty)
        found = make_program(problem, penalties_per_unit=penalty).solve()
        if expected is None:
            assert found is None
            continue
        assert found is not None
        # Charges are rounded down to a unit, in each step.
        assert expected * UNITS_PER_CURRENCY - steps <= found <= expected * UNITS_PER_CURRENCY


def test_a_path_made_anew_in_stretches_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = draw_problem(random.Random(12), 2, 40, 4)
    problem = replace(problem, caps=(), variants=tuple(replace(line, max_replicas=None) for line in problem.variants))
    whole = solve_clairvoyant(problem, with_path=True)
    monkeypatch.setattr(program_module, "KEPT_BYTES", 8 * 25 * 7)
    again = solve_clairvoyant(problem, with_path=True)
    assert whole.path is not None
    assert again.path is not None
    assert np.array_equal(whole.path, again.path)


def test_among_equal_paths_the_calm_one_then_the_roomy_one_then_the_first_by_name_is_taken() -> None:
    twins = (make_variant(0, 1.0), make_variant(1, 1.0), make_variant(2, 2.0))
    problem = ClairvoyantProblem(twins, np.full(3, 60.0), np.array([[1.0, 1.0, 2.5]]), np.array([[2.0, 2.0, 2.0]]))
    roomy = solve_clairvoyant(problem, with_path=True).path
    assert roomy is not None
    assert roomy.tolist() == [[0, 0, 1]] * 3
    even = replace(problem, capacities=np.array([[1.0, 1.0, 2.0]]), initial_replicas=(1, 1, 0))
    calm = solve_clairvoyant(even, with_path=True).path
    assert calm is not None
    assert calm.tolist() == [[1, 1, 0]] * 3


def test_leaving_out_dominated_variants_changes_nothing() -> None:
    rng = random.Random(31)
    dropped = 0
    for _ in range(150):
        problem = draw_problem(rng, 3, 5, 3, rows=rng.choice([1, 2]))
        smaller, kept = drop_dominated(problem)
        dropped += len(kept) < 3
        assert make_program(smaller).solve() == make_program(problem).solve()
    assert dropped > 15


def test_what_a_bound_a_cap_or_the_beginning_singles_out_is_kept() -> None:
    good, bad = make_variant(0, 1.0), make_variant(1, 2.0)
    problem = ClairvoyantProblem((good, bad), np.array([60.0]), np.array([[2.0, 1.0]]), np.array([[4.0]]))
    assert drop_dominated(problem)[1] == (0,)
    assert drop_dominated(replace(problem, variants=(replace(good, max_replicas=5), bad)))[1] == (0, 1)
    assert drop_dominated(replace(problem, variants=(good, replace(bad, min_replicas=1))))[1] == (0, 1)
    assert drop_dominated(replace(problem, initial_replicas=(0, 1)))[1] == (0, 1)
    assert drop_dominated(replace(problem, condition=lambda counts: counts[0] + counts[1] >= 0))[1] == (0, 1)


def test_equal_neighbouring_steps_are_one() -> None:
    problem = ClairvoyantProblem(
        (make_variant(0, 1.0, 0.001),), np.full(6, 60.0), np.array([[2.0]]), np.array([[1.5, 1.9, 2.0, 3.1, 3.9, 0.5]])
    )
    found = solve_clairvoyant(problem, with_path=True)
    assert found.steps == 3
    assert found.path is not None
    assert found.path.tolist() == [[1], [1], [1], [2], [2], [1]]


def test_a_condition_is_kept() -> None:
    line = replace(make_variant(0, 1.0), max_replicas=6)
    problem = ClairvoyantProblem((line,), np.full(2, 60.0), np.array([[1.0]]), np.array([[3.0, 1.0]]))
    even = replace(problem, condition=lambda counts: counts[0] % 2 == 0)
    found = solve_clairvoyant(even, with_path=True)
    assert found.path is not None
    assert found.path.tolist() == [[4], [2]]


def test_more_demand_is_never_cheaper_and_a_cap_is_never_cheaper() -> None:
    rng = random.Random(77)
    for _ in range(60):
        problem = replace(draw_problem(rng, 2, 6, 4), caps=())
        base = solve_clairvoyant(problem).cost
        more = problem.needs * np.array([[rng.choice([1.0, 1.3]) for _ in range(6)]])
        assert solve_clairvoyant(replace(problem, needs=more)).cost >= base
        capped = draw_problem(rng, 2, 1, 4)
        if capped.caps:
            assert solve_clairvoyant(replace(problem, caps=capped.caps)).cost >= base


def test_a_start_up_is_billed_once_a_start() -> None:
    line = make_variant(0, 3.6, start=0.12)
    problem = ClairvoyantProblem((line,), np.full(3, 1000.0), np.array([[1.0]]), np.array([[1.0, 3.0, 1.0]]))
    assert solve_clairvoyant(problem).cost == pytest.approx(3.6 * 5.0 / 3.6 + 2 * 0.12)
    cold = replace(problem, initial_replicas=(0,))
    assert solve_clairvoyant(cold).cost == pytest.approx(3.6 * 5.0 / 3.6 + 3 * 0.12)


def test_wrong_problems_are_refused() -> None:
    line = make_variant(0, 1.0)
    one = np.array([[1.0]])
    with pytest.raises(InvalidInput, match=r"needs\.shape"):
        ClairvoyantProblem((line,), np.array([60.0]), one, np.array([[1.0, 2.0]]))
    with pytest.raises(InvalidInput, match="needs must be >= 0"):
        ClairvoyantProblem((line,), np.array([60.0]), one, np.array([[math.nan]]))
    with pytest.raises(InvalidInput, match=r"0\.001"):
        ClairvoyantProblem((line,), np.array([1e-5]), one, one)
    with pytest.raises(InvalidInput, match="cost of the largest fleet"):
        solve_clairvoyant(ClairvoyantProblem((line,), np.array([1e9]), one, np.array([[1e6]])))


def test_prices_are_whole_units_never_rounded_up() -> None:
    assert to_units(1.006) == 36_216_000_000
    problem = ClairvoyantProblem((make_variant(0, 1.00609),), np.array([3600.0]), np.array([[1.0]]), np.array([[1.0]]))
    assert solve_clairvoyant(problem).cost == pytest.approx(1.006, abs=1e-12)


@pytest.mark.parametrize("duration_s", [60.0006, 0.0015, 899.9999, 15.0])
def test_no_length_of_a_step_lifts_the_optimum_above_the_money_it_takes(duration_s: float) -> None:
    """The money is reckoned here from seconds, for what the program counts in whole units of its own."""
    variant = make_variant(0, 0.79)
    problem = ClairvoyantProblem((variant,), np.array([duration_s]), np.array([[1.0]]), np.array([[3.0]]))
    money = 3 * 0.79 * duration_s / 3600.0
    found = solve_clairvoyant(problem).cost
    assert money - 3 * 0.79 * 1e-3 / 3600.0 <= found <= money * (1.0 + 1e-9)
