"""The search for one LLM against the mixed-integer program: the same counts, equals told apart in the same order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from optimizer.domain import DecisionSettings, Limit, ModelKey, Need, NeedEntry, Routing, VariantKey
from optimizer.solver import ModelProblem, VariantLine
from optimizer.solver.alone import choose_counts
from optimizer.solver.counting import get_counts
from optimizer.solver.formulation import formulate
from optimizer.solver.lexicographic import solve_in_order
from tests.builders.solver_problems import draw_limits, draw_problem


def solve_as_program(problem: ModelProblem, limits: Sequence[Limit]) -> tuple[int, ...] | None:
    formulation = formulate((problem,), limits, may_fall_short=False)
    outcome = solve_in_order(formulation, DecisionSettings())
    return None if outcome is None else tuple(get_counts(problem, formulation, outcome.final).values())


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 8))])
def test_agrees_with_the_program_to_the_last_tie(seed: int) -> None:
    rng = random.Random(1000 + seed)
    found = 0
    for _ in range(80):
        problem = draw_problem(rng, 0, rng.randint(1, 4))
        if rng.random() < 0.2:
            problem = replace(problem, fixed={line.key: rng.randint(0, 4) for line in problem.lines})
        limits = draw_limits(rng, (problem,))
        choice = choose_counts(problem, limits)
        assert choice.is_proven
        assert choice.counts == solve_as_program(problem, limits)
        found += choice.counts is not None
    assert found > 20


def test_many_alike_variants_are_no_burden() -> None:
    """Eight equal variants have 888,030 ways to share twenty replicas: the first name takes all, at once."""
    key = ModelKey("prod", "m")
    lines = tuple(
        VariantLine(VariantKey("prod", "m", f"v{index}"), capacity_per_s=1.0, cost_per_hour=2.0) for index in range(8)
    )
    problem = ModelProblem(key, lines, Need((NeedEntry(60.0, 20.0),)), routing=Routing.WEIGHTED)
    choice = choose_counts(problem, ())
    assert choice.counts == (20, 0, 0, 0, 0, 0, 0, 0)
    assert choice.nodes < 300
