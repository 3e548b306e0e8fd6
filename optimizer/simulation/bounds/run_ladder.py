"""The ladder of one simulated run: every LLM at what it attained, and all of them together. It runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from optimizer.domain import ModelKey, Role, VariantKey
from optimizer.simulation.bounds.case import BoundCase, make_stretch_problem
from optimizer.simulation.bounds.from_scenario import get_rhythm, make_bound_cases
from optimizer.simulation.bounds.ladder import PERFECT, TIMED, LadderOptions, compute_ladder, get_speed_text
from optimizer.simulation.bounds.rungs import Ladder, Rung, RungKind, add_up_ladders
from optimizer.simulation.bounds.work import ReplicaWork
from optimizer.simulation.cluster import ClusterOptions, Scenario, SimulationResult
from optimizer.simulation.decider import Decider
from optimizer.solver.clairvoyant import SharedCap, join_problems, solve_time_expanded

_SHARED_STRETCH_S = 900.0


def compute_run_ladder(
    scenario: Scenario,
    result: SimulationResult,
    decider: Decider,
    cluster_options: ClusterOptions,
    *,
    options: LadderOptions | None = None,
    works: Mapping[VariantKey, ReplicaWork] | None = None,
) -> Ladder:
    """Return what the demand of `result` costs at least for whoever attains, LLM by LLM, what `result` attained.

    Quota binds within each LLM; that several share it enters by one rung more, ``LBs(a)``.

    Parameters
    ----------
    scenario, result
        What was simulated, and what came of it.
    decider, cluster_options
        Who decided, and how its answers became replicas: they tell when replicas may change.
    options
        How much work it may be.
    works
        See `make_bound_cases`.

    Raises
    ------
    InvalidInput
        If a variant's truth is neither law nor table and `works` does not have it.
    """
    period_s, phase_s = get_rhythm(decider, cluster_options)
    cases = make_bound_cases(scenario, period_s=period_s, phase_s=phase_s, works=works)
    attained = _count_attained(result)
    owners = [
        model.key for model in scenario.models for role in Role if any(v.main_role is role for v in model.variants)
    ]
    ladders = [compute_ladder(case, attained[key], options) for case, key in zip(cases, owners, strict=True)]
    name = "all" if len(ladders) > 1 else ladders[0].name
    ladder = add_up_ladders(name, result.attainment_ratio, ladders)
    if len(cases) == 1 or not scenario.quota:
        return ladder
    stretch_s = min((options or LadderOptions()).stretches_s, key=lambda length_s: abs(length_s - _SHARED_STRETCH_S))
    shares = [attained[key] for key in owners]
    rung = make_shared_rung(cases, shares, _list_shared_caps(scenario, cases), min(stretch_s, scenario.horizon_s))
    rung = replace(rung, attainment_ratio=result.attainment_ratio)
    return replace(ladder, rungs=tuple(sorted((*ladder.rungs, rung), key=lambda one: (one.cost, one.name))))


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
        kind=RungKind.BOUND,
        attainment_ratio=min(attainment_ratios),
        text=f"real numbers of replicas of all LLMs under what they share, over stretches of {stretch_s:g} s",
        assumptions=(max(get_speed_text(case) for case in cases), PERFECT, TIMED),
        states=0,
        steps=answer.steps,
        method="linear program, dual value",
    )


def _list_shared_caps(scenario: Scenario, cases: Sequence[BoundCase]) -> tuple[SharedCap, ...]:
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


def _count_attained(result: SimulationResult) -> dict[ModelKey, float]:
    """Return the share of its requests that kept every promise, by LLM; 1 without any."""
    requests: dict[ModelKey, int] = {}
    met: dict[ModelKey, int] = {}
    for figures in result.classes:
        requests[figures.model] = requests.get(figures.model, 0) + figures.requests
        met[figures.model] = met.get(figures.model, 0) + figures.met_all
    return {key: met[key] / count if count else 1.0 for key, count in requests.items()}
