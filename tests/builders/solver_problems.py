"""Random small problems of the solver, with whatever it must keep."""

from __future__ import annotations

import random

from optimizer.domain import Limit, LimitKind, ModelKey, Need, NeedEntry, Routing, VariantKey
from optimizer.solver import ModelProblem, VariantLine

MOST_REPLICAS = 4


def draw_problem(rng: random.Random, number: int, variants: int) -> ModelProblem:
    """Return a problem of so many variants of LLM `number`."""
    key = ModelKey("prod", f"model-{number}")
    lines = []
    for index in range(variants):
        low = rng.choice([0, 0, 0, 1])
        present = rng.randint(0, 3)
        starting = tuple(rng.choice([5.0, 40.0]) for _ in range(rng.randint(0, present)))
        lines.append(
            VariantLine(
                VariantKey("prod", key.model_id, f"v{index}"),
                capacity_per_s=rng.choice([0.0, 0.5, 1.0, 1.5, 2.25, 3.0]),
                cost_per_hour=rng.choice([1.0, 1.55, 2.95, 5.5, 7.2]),
                min_replicas=low,
                max_replicas=rng.randint(max(low, 1), MOST_REPLICAS),
                present_replicas=present,
                startup_s=rng.choice([10.0, 60.0]),
                starting_s=starting,
                start_cost_per_hour=rng.choice([0.0, 0.3]),
                stop_cost_per_hour=rng.choice([0.0, 0.1]),
            )
        )
    horizons = sorted({line.startup_s for line in lines})
    rates = sorted(rng.choice([0.0, 0.7, 1.5, 2.9, 4.0, 6.0]) for _ in horizons)
    need = Need(tuple(NeedEntry(*pair) for pair in zip(horizons, rates, strict=True)))
    return ModelProblem(
        key,
        tuple(lines),
        need,
        routing=rng.choice([Routing.WEIGHTED, Routing.UNIFORM, Routing.AUTO]),
        min_replicas=rng.choice([0, 0, 2]),
        max_replicas=rng.choice([None, None, 5]),
    )


def draw_limits(rng: random.Random, problems: tuple[ModelProblem, ...]) -> tuple[Limit, ...]:
    """Return up to two limits over the variants of `problems`, known or unknown."""
    keys = [line.key for problem in problems for line in problem.lines]
    limits = []
    for number in range(rng.randint(0, 2)):
        used = {key: float(rng.choice([1, 2, 4])) for key in rng.sample(keys, rng.randint(1, len(keys)))}
        limits.append(Limit(f"limit-{number}", LimitKind.ACCELERATORS, used, rng.choice([None, 4.0, 8.0, 13.0])))
    return tuple(limits)
