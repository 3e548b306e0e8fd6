"""What plans under shared limits cost us, and the same instances as one program in HiGHS: CPU time, cost and gap.

Half of the accelerator types are cut to 70 % of what everybody would use. The program stands on its own: it is written
here from the definition, and stops after a time.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from optimizer.domain import DecisionSettings, Limit, LimitKind, ModelKey, Need, NeedEntry, Routing, VariantKey
from optimizer.solver import ModelProblem, VariantLine, solve_fleet

INSTANCES = ((50, 6, 8, 30.0), (100, 5, 6, 30.0), (1000, 5, 8, 60.0))
"""LLMs, variants of each, accelerator types, and how long the one program may take [s]."""
_UNIT = 1e-4  # currency/h: prices are whole numbers of it, for both
_LEAD_S = 90.0


def measure() -> dict[str, float]:
    """Return CPU seconds, cost and gap of both, by instance."""
    figures: dict[str, float] = {}
    for models, variants, types, patience_s in INSTANCES:
        problems, limits = draw_fleet(random.Random(models), models, variants, types)
        begin_s = time.process_time()
        plans = solve_fleet(problems, limits, DecisionSettings())
        taken_s = time.process_time() - begin_s
        cost = sum(plan.cost_per_hour + plan.switching_per_hour for plan in plans)
        name = f"{models} x {variants}, {types // 2} limits bind"
        figures[f"{name} [CPU s]"] = taken_s
        figures[f"{name}: cost [currency/h]"] = cost
        figures[f"{name}: largest gap"] = max(plan.gap_ratio or 0.0 for plan in plans)
        begin_s = time.process_time()
        whole_cost, bound = solve_whole(problems, limits, patience_s)
        figures[f"{name}: HiGHS [CPU s]"] = time.process_time() - begin_s
        figures[f"{name}: HiGHS cost [currency/h]"] = whole_cost
        figures[f"{name}: HiGHS gap"] = 1.0 - bound / whole_cost
    return figures


def draw_fleet(
    rng: random.Random, models: int, variants: int, types: int
) -> tuple[tuple[ModelProblem, ...], tuple[Limit, ...]]:
    """Return LLMs whose variants are of different accelerator types, and a limit on each type."""
    prices = [rng.uniform(1.0, 6.0) for _ in range(types)]
    uses: list[dict[VariantKey, float]] = [{} for _ in range(types)]
    problems = []
    for number in range(models):
        lines = []
        for place, kind in enumerate(rng.sample(range(types), variants)):
            key, count = VariantKey("bench", f"model-{number}", f"variant-{place}"), rng.choice((1, 1, 2, 4))
            uses[kind][key] = float(count)
            lines.append(
                VariantLine(
                    key,
                    capacity_per_s=prices[kind] * count * rng.uniform(0.7, 1.5),
                    cost_per_hour=round(prices[kind] * count, 2),
                    present_replicas=rng.randint(0, 3),
                    startup_s=_LEAD_S,
                    start_cost_per_hour=round(0.1 * prices[kind] * count, 2),
                )
            )
        need = Need((NeedEntry(_LEAD_S, rng.uniform(5.0, 60.0)),))
        problems.append(ModelProblem(ModelKey("bench", f"model-{number}"), tuple(lines), need, Routing.WEIGHTED))
    return tuple(problems), _draw_limits(tuple(problems), uses)


def _draw_limits(problems: tuple[ModelProblem, ...], uses: Sequence[dict[VariantKey, float]]) -> tuple[Limit, ...]:
    plans = solve_fleet(problems, (), DecisionSettings())
    counts = {line.key: line.replicas for plan in plans for line in plan.allocations}
    wanted = [sum(use * counts[key] for key, use in of_type.items()) for of_type in uses]
    scarce = set(sorted(range(len(uses)), key=lambda kind: -wanted[kind])[: len(uses) // 2])
    return tuple(
        Limit(
            f"type-{kind}",
            LimitKind.ACCELERATORS,
            uses[kind],
            float(int(wanted[kind] * 0.7)) if kind in scarce else float(int(wanted[kind] * 2.0) + 20 + len(problems)),
        )
        for kind in range(len(uses))
    )


def solve_whole(problems: Sequence[ModelProblem], limits: Sequence[Limit], patience_s: float) -> tuple[float, float]:
    """Return cost and bound [currency/h] of one program over everything: kept and new replicas of every line."""
    lines = [line for problem in problems for line in problem.lines]
    owners = [number for number, problem in enumerate(problems) for _ in problem.lines]
    cells: list[tuple[int, int, float]] = []
    for place, (line, owner) in enumerate(zip(lines, owners, strict=True)):
        for column in (2 * place, 2 * place + 1):
            cells.append((owner, column, line.capacity_per_s))
            cells += [
                (len(problems) + number, column, limit.coefficients[line.key])
                for number, limit in enumerate(limits)
                if line.key in limit.coefficients
            ]
    rows, columns, values = zip(*cells, strict=True)
    needs = [problem.need.peak_per_s * (1.0 - 1e-9) for problem in problems]
    result = milp(
        [
            round(price / _UNIT)
            for line in lines
            for price in (line.cost_per_hour, line.cost_per_hour + line.start_cost_per_hour)
        ],
        integrality=np.ones(2 * len(lines), dtype=np.int64),
        bounds=Bounds(0.0, np.array([most for line in lines for most in (float(line.present_replicas), np.inf)])),
        constraints=LinearConstraint(
            csr_array((values, (rows, columns)), shape=(len(problems) + len(limits), 2 * len(lines))),
            np.array([*needs, *(-np.inf for _ in limits)]),
            np.array([*(np.inf for _ in problems), *(limit.amount or 0.0 for limit in limits)]),
        ),
        options={"time_limit": patience_s, "mip_rel_gap": 0.0},
    )
    assert result.fun is not None
    assert result.mip_dual_bound is not None
    return float(result.fun) * _UNIT, float(result.mip_dual_bound) * _UNIT
