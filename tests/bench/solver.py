"""What a plan costs us: CPU time of solving, by models x variants, with and without a limit that joins the models."""

from __future__ import annotations

import random
import time
from statistics import median

from optimizer.domain import (
    DecisionSettings,
    Limit,
    LimitKind,
    ModelKey,
    Need,
    NeedEntry,
    Routing,
    VariantKey,
)
from optimizer.solver import ModelProblem, VariantLine, solve_fleet

LEAD_TIMES_S = (90.0, 150.0, 210.0)


def measure() -> dict[str, float]:
    """Return CPU milliseconds per fleet, runner-up included, and the largest gap left."""
    figures: dict[str, float] = {}
    for models, variants, routing, runs in (
        (1, 8, Routing.WEIGHTED, 5),
        (1, 8, Routing.UNIFORM, 5),
        (10, 6, Routing.WEIGHTED, 1),
    ):
        fleets = [_draw_fleet(random.Random(seed), models, variants, routing) for seed in range(runs)]
        times_ms, gaps = zip(*(_solve(fleet, ()) for fleet in fleets), strict=True)
        name = f"{models} x {variants} {routing.value}, limits slack"
        figures[f"{name} [CPU ms]"] = median(times_ms)
        figures[f"{name}, gap"] = max(gaps)
    fleet = _draw_fleet(random.Random(9), 4, 4, Routing.WEIGHTED)
    figures["4 x 4 weighted, one tight limit [CPU ms]"], figures["4 x 4 weighted, gap"] = _solve(
        fleet, (_tighten(fleet),)
    )
    return figures


def _solve(fleet: tuple[ModelProblem, ...], limits: tuple[Limit, ...]) -> tuple[float, float]:
    begin_s = time.process_time()
    plans = solve_fleet(fleet, limits, DecisionSettings())
    return (time.process_time() - begin_s) * 1e3, max(plan.gap_ratio or 0.0 for plan in plans)


def _tighten(fleet: tuple[ModelProblem, ...]) -> Limit:
    """Return a limit on two variants of every model that allows 70 % of what they would use."""
    shared = {line.key: 1.0 for problem in fleet for line in problem.lines[:2]}
    plans = solve_fleet(fleet, (), DecisionSettings())
    used = sum(line.replicas for plan in plans for line in plan.allocations if line.key in shared)
    return Limit("accelerators", LimitKind.ACCELERATORS, shared, 0.7 * used)


def _draw_fleet(rng: random.Random, models: int, variants: int, routing: Routing) -> tuple[ModelProblem, ...]:
    return tuple(_draw_problem(rng, f"model-{number}", variants, routing) for number in range(models))


def _draw_problem(rng: random.Random, name: str, variants: int, routing: Routing) -> ModelProblem:
    lines = tuple(
        VariantLine(
            VariantKey("bench", name, f"variant-{number}"),
            capacity_per_s=rng.uniform(0.5, 8.0),
            cost_per_hour=round(rng.uniform(1.0, 20.0), 2),
            present_replicas=rng.randint(0, 3),
            startup_s=rng.choice(LEAD_TIMES_S),
            start_cost_per_hour=0.2,
        )
        for number in range(variants)
    )
    peak_per_s = rng.uniform(5.0, 40.0)
    need = Need(tuple(NeedEntry(lead_s, peak_per_s * (0.8 + 0.1 * step)) for step, lead_s in enumerate(LEAD_TIMES_S)))
    return ModelProblem(ModelKey("bench", name), lines, need, routing)
