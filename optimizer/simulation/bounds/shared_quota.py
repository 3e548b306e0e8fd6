"""The bound of several cases under the quota that they share: a linear program, or prices with whole replicas.

With prices each case keeps its own dynamic program over the moments at which replicas change; so there are some where
these programs are small and their rungs are bounds. Neither of the two is always the higher one.
"""

from __future__ import annotations

from collections.abc import Sequence

from optimizer.simulation.bounds.case import (
    BoundCase,
    is_rhythm_kept,
    list_moments,
    make_step_problem,
    make_stretch_problem,
)
from optimizer.simulation.bounds.ladder import PERFECT, RHYTHM, TIMED, LadderOptions, get_speed_text
from optimizer.simulation.bounds.rungs import Rung, RungKind
from optimizer.simulation.cluster import Scenario
from optimizer.solver.clairvoyant import (
    SharedCap,
    compute_price_bound,
    count_states,
    join_problems,
    solve_time_expanded,
)


def make_shared_rung(
    cases: Sequence[BoundCase], attainment_ratios: Sequence[float], caps: Sequence[SharedCap], stretch_s: float
) -> Rung:
    """Return the bound for several LLMs under `caps` that they share, each for whoever attains its share [0-1].

    Real numbers of replicas over stretches of `stretch_s` [s], all LLMs in one linear program.
    """
    made = [make_stretch_problem(case, stretch_s) for case in cases]
    allowances = [
        allowance
        for (_, rows), share in zip(made, attainment_ratios, strict=True)
        for allowance in rows.compute_allowances(share)
    ]
    answer = solve_time_expanded(join_problems([problem for problem, _ in made], caps), allowances=tuple(allowances))
    return Rung(
        name="LBs(a)",
        cost=answer.bound,
        kind=RungKind.MEASURED if any(case.is_measured for case in cases) else RungKind.BOUND,
        attainment_ratio=min(attainment_ratios),
        text=f"real numbers of replicas of all LLMs under what they share, over stretches of {stretch_s:g} s",
        assumptions=(max(get_speed_text(case) for case in cases), PERFECT, TIMED),
        states=0,
        steps=answer.steps,
        method="linear program, dual value",
    )


def can_price(cases: Sequence[BoundCase], options: LadderOptions) -> bool:
    """Return whether `make_priced_rung` gives a bound of these cases, with no more work than `options` allow."""
    steps = len(list_moments(cases[0])) - 1
    if not 0 < steps <= options.most_steps or not all(is_rhythm_kept(case) for case in cases):
        return False
    return sum(count_states(make_step_problem(case)[0]) for case in cases) * steps <= options.most_state_steps


def make_priced_rung(cases: Sequence[BoundCase], attainment_ratios: Sequence[float], caps: Sequence[SharedCap]) -> Rung:
    """Return the bound for several LLMs of one rhythm under `caps`, each for whoever attains its share [0-1].

    Whole replicas of each LLM by itself, what they share being priced in every step.
    """
    made = [make_step_problem(case) for case in cases]
    allowances = [rows.compute_allowances(share) for (_, rows), share in zip(made, attainment_ratios, strict=True)]
    found = compute_price_bound([problem for problem, _ in made], caps, allowances=allowances)
    return Rung(
        name="LBp(a)",
        cost=found.cost,
        kind=RungKind.MEASURED if any(case.is_measured for case in cases) else RungKind.BOUND,
        attainment_ratio=min(attainment_ratios),
        text="whole replicas of every LLM that change when the policy may, at prices of what they share",
        assumptions=(max(get_speed_text(case) for case in cases), PERFECT, RHYTHM, TIMED),
        states=found.states,
        steps=len(made[0][0].durations_s),
        method=f"dynamic programs at {found.rounds} price paths (Lagrangian relaxation), or their linear program",
    )


def list_shared_caps(scenario: Scenario, cases: Sequence[BoundCase]) -> tuple[SharedCap, ...]:
    """Return the quota of every accelerator over the variants of all cases."""
    variants = scenario.variants
    return tuple(
        SharedCap(
            accelerator,
            tuple(
                tuple(
                    float(variants[one.key].accelerators_per_replica)
                    if variants[one.key].accelerator == accelerator
                    else 0.0
                    for one in case.variants
                )
                for case in cases
            ),
            float(devices),
        )
        for accelerator, devices in sorted(scenario.quota.items())
    )
