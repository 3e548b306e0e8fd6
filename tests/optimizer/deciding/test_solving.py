from __future__ import annotations

import numpy as np

from optimizer.deciding.solving import solve_remembered
from optimizer.domain import Limit, LimitKind, ModelKey, Need, NeedEntry, Routing, VariantKey
from optimizer.solver import ModelProblem, VariantLine, solve_fleet
from tests.builders.story import make_settings


def draw_problem(stream: np.random.Generator, name: str) -> ModelProblem:
    lines = tuple(
        VariantLine(
            VariantKey("prod", name, variant),
            capacity_per_s=float(stream.uniform(0.5, 4.0)),
            cost_per_hour=float(stream.uniform(0.5, 4.0)),
            present_replicas=int(stream.integers(0, 4)),
        )
        for variant in "ab"
    )
    need = Need((NeedEntry(60.0, float(stream.uniform(0.0, 9.0))),))
    return ModelProblem(ModelKey("prod", name), lines, need, Routing.WEIGHTED)


def test_asking_in_groups_gives_what_asking_for_all_at_once_gives() -> None:
    stream = np.random.default_rng(5)
    for _ in range(15):
        problems = tuple(draw_problem(stream, name) for name in ("one", "two", "three", "four"))
        keys = [line.key for problem in problems for line in problem.lines]
        limits = (
            Limit("joins two", LimitKind.ACCELERATORS, {keys[0]: 1.0, keys[2]: 2.0, keys[1]: 1.0}, 6.0),
            Limit("unknown", LimitKind.ACCELERATORS, dict.fromkeys(keys, 1.0), None),
            Limit("of one", LimitKind.QUOTA, {keys[6]: 1.0}, 1.0),
        )
        settings = make_settings(limits=limits)
        expected = solve_fleet(problems, limits, settings.decision)
        assert solve_remembered(problems, settings) == expected
        assert solve_remembered(problems, settings) == expected  # from memory
