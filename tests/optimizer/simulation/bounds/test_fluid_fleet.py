"""Our own policy on a fluid fleet, which no engine makes worse, against the optimum of that very fluid."""

from __future__ import annotations

import numpy as np

from optimizer.domain import Variant, VariantKey
from optimizer.evidence import DemandStep, ReplayOptions, replay
from optimizer.solver.clairvoyant import (
    ClairvoyantProblem,
    ClairvoyantVariant,
    compute_miss_bound,
    solve_clairvoyant,
    solve_time_expanded,
)
from tests.builders import story
from tests.builders.snapshots import MODEL, make_workload


def test_our_policy_on_a_fluid_fleet_is_not_below_the_optimum_at_what_it_attained() -> None:
    lines = story.make_variant("small", cost_per_hour=1.0), story.make_variant("big", cost_per_hour=2.7, speed=2.0)
    unit_per_s = story.get_capacity_per_s(lines[0])
    for shape, chosen in (([2.5, 4.5, 1.5, 6.0], lines[:1]), ([1.0, 5.0, 0.5], lines)):
        steps = tuple(
            DemandStep(300.0 * number, 300.0 * (number + 1), make_workload(level * unit_per_s))
            for number, level in enumerate(shape)
        )
        settings = story.make_settings(story.make_model(*chosen))
        options = ReplayOptions(grain_s=1e-3)
        bill = replay({MODEL: steps}, settings, options)[MODEL]
        problem = make_fluid_problem(
            chosen, steps, options, {line.key(): settings.get_replica_cost_per_hour(line) for line in chosen}
        )
        offered = sum(step.arrival_rate_per_s * step.duration_s for step in steps)
        allowance = (1.0 - bill.attainment_ratio) * offered
        bound = compute_miss_bound(problem, (allowance,))
        relaxed = solve_time_expanded(problem, allowances=(allowance,)).bound
        optimum = solve_clairvoyant(problem).cost
        assert bill.attainment_ratio > 0.9
        assert relaxed - 1e-7 <= bill.cost
        assert bound.cost <= bill.cost
        assert bound.cost <= optimum
        assert bound.cost > 0.4 * bill.cost


def make_fluid_problem(
    lines: tuple[Variant, ...],
    steps: tuple[DemandStep, ...],
    options: ReplayOptions,
    prices: dict[VariantKey, float],
) -> ClairvoyantProblem:
    """Return what a fluid fleet has to serve, between moments at which it or its demand may change."""
    end_s = steps[-1].end_s
    edges_s = sorted(
        {*np.arange(options.sync_phase_s, end_s, options.sync_s).tolist(), *(step.start_s for step in steps), end_s}
    )
    rates = [
        next(step.arrival_rate_per_s for step in steps if step.start_s <= start_s < step.end_s)
        for start_s in edges_s[:-1]
    ]
    return ClairvoyantProblem(
        tuple(
            ClairvoyantVariant(
                line.key(), prices[line.key()], prices[line.key()] * max(line.startup_s - options.sync_s, 0.0) / 3600.0
            )
            for line in lines
        ),
        np.diff(edges_s),
        np.array([[story.get_capacity_per_s(line) for line in lines]]),
        np.array([rates]),
    )
