"""What a clairvoyant bound costs us: states, CPU time and memory of the exact program, and of what stands in for it."""

from __future__ import annotations

import math
import time
import tracemalloc
from collections.abc import Callable
from functools import partial

import numpy as np

from optimizer.domain import VariantKey
from optimizer.solver.clairvoyant import (
    ClairvoyantProblem,
    ClairvoyantVariant,
    SharedCap,
    compute_miss_bound,
    compute_path_cost,
    compute_price_bound,
    find_incumbent,
    solve_clairvoyant,
    solve_time_expanded,
)

CASES = (
    (288, (5.0, 10.0, 19.0), (1.0, 1.9, 3.5), 150.0),
    (1440, (5.0,), (1.0,), 190.0),
    (1440, (5.0, 7.2), (1.0, 1.4), 190.0),
    (1440, (5.0, 7.2, 15.0), (1.0, 1.4, 2.8), 190.0),
)
"""Steps, capacity [1/s] and price [currency/h] of a replica of each variant, highest rate [1/s]."""
STARTUP_H = 120.0 / 3600.0


def measure() -> dict[str, float]:
    """Return, by steps and variants, states and steps of the program, CPU milliseconds and peak memory."""
    figures: dict[str, float] = {}
    for steps, capacities, prices, peak_per_s in CASES:
        problem = draw_day(steps, capacities, prices, peak_per_s)
        name = f"T={steps}, V={len(prices)}"
        solve, solve_path = partial(solve_clairvoyant, problem), partial(solve_clairvoyant, problem, with_path=True)
        found = solve()
        cost_ms = _time_ms(solve)
        figures[f"{name}: states"] = found.states
        figures[f"{name}: steps after merging"] = found.steps
        figures[f"{name}: optimum [CPU ms]"] = cost_ms
        figures[f"{name}: per state and step [CPU ns]"] = cost_ms * 1e6 / (found.states * found.steps)
        figures[f"{name}: with its path [CPU ms]"] = _time_ms(solve_path)
        figures[f"{name}: with its path [MiB]"] = _measure_peak_mib(solve_path)
    problem = draw_day(*CASES[0])
    return figures | _measure_stand_ins(problem, solve_clairvoyant(problem).cost)


def _measure_stand_ins(problem: ClairvoyantProblem, optimum: float) -> dict[str, float]:
    """Return what relaxation, priced misses and incumbent cost, and how close to the optimum they come."""
    allowance = 0.01 * float((problem.needs * problem.durations_s).sum())
    relaxed = solve_time_expanded(problem)
    almost = compute_miss_bound(problem, (allowance,))
    path = find_incumbent(problem, relaxed.replicas)
    assert path is not None, "no path found where there are many"
    caps = [SharedCap("accelerators", ((1.0, 2.0, 4.0),) * 2, 62.0)]
    priced = compute_price_bound([problem, problem], caps, allowances=[(allowance,)] * 2)
    return {
        "T=288, V=3, two LLMs: priced quota [CPU ms]": _time_ms(lambda: compute_price_bound([problem] * 2, caps)),
        "T=288, V=3, two LLMs: priced quota, states": priced.states,
        "T=288, V=3, two LLMs: priced quota / relaxation": priced.cost / priced.linear_bound,
        "T=288, V=3: relaxation [CPU ms]": _time_ms(lambda: solve_time_expanded(problem)),
        "T=288, V=3: relaxation / optimum": relaxed.bound / optimum,
        "T=288, V=3: 99 % [CPU ms]": _time_ms(lambda: compute_miss_bound(problem, (allowance,))),
        "T=288, V=3: 99 % / optimum": almost.cost / optimum,
        "T=288, V=3: incumbent [CPU ms]": _time_ms(lambda: find_incumbent(problem, relaxed.replicas)),
        "T=288, V=3: incumbent / optimum": compute_path_cost(problem, path) / optimum,
    }


def draw_day(
    steps: int, capacities: tuple[float, ...], prices: tuple[float, ...], peak_per_s: float
) -> ClairvoyantProblem:
    """Draw a day with a smooth curve and 10 % of noise."""
    hours = np.arange(steps) * 24.0 / steps
    noise = np.exp(np.random.default_rng(1).normal(0.0, 0.1, steps))
    shape = (0.55 - 0.45 * np.cos(hours * math.pi / 12.0)) * noise
    rates = shape * (peak_per_s / shape.max())
    lines = tuple(
        ClairvoyantVariant(VariantKey("bench", "llm", f"v{number}"), price, price * STARTUP_H)
        for number, price in enumerate(prices)
    )
    return ClairvoyantProblem(lines, np.full(steps, 86_400.0 / steps), np.array([capacities]), rates[np.newaxis, :])


def _time_ms(work: Callable[[], object]) -> float:
    begin_s = time.process_time()
    work()
    return (time.process_time() - begin_s) * 1e3


def _measure_peak_mib(work: Callable[[], object]) -> float:
    tracemalloc.start()
    work()
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak_bytes / 2**20
