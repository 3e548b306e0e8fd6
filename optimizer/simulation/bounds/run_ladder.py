"""The ladder of one simulated run: every LLM at what it attained, and all of them together. It runs nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from optimizer.domain import ModelKey, VariantKey
from optimizer.simulation.bounds.case import BoundCase, list_moments
from optimizer.simulation.bounds.from_scenario import get_rhythm, make_bound_cases
from optimizer.simulation.bounds.ladder import LadderOptions, compute_ladder
from optimizer.simulation.bounds.rungs import Ladder, Rung, RungKind, add_up_ladders
from optimizer.simulation.bounds.shared_quota import can_price, list_shared_caps, make_priced_rung, make_shared_rung
from optimizer.simulation.bounds.verdict import ModelLadder, RunLadder
from optimizer.simulation.bounds.work import ReplicaWork
from optimizer.simulation.cluster import ClusterOptions, Scenario, SimulationResult
from optimizer.simulation.decider import Decider
from optimizer.simulation.ticks import to_ns

_SHARED_STRETCH_S = 900.0


def compute_run_ladder(
    scenario: Scenario,
    result: SimulationResult,
    decider: Decider,
    cluster_options: ClusterOptions,
    *,
    options: LadderOptions | None = None,
    works: Mapping[VariantKey, ReplicaWork] | None = None,
    measured: Mapping[VariantKey, ReplicaWork] | None = None,
) -> RunLadder:
    """Return what the demand of `result` costs at least for whoever attains, LLM by LLM, what `result` attained.

    Quota binds within each LLM; that several share it enters by rungs more, ``LBs(a)`` and ``LBp(a)``. An LLM whose
    replicas changed in `result` at other moments than `decider` tells has no bounds that rest on the moments.

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
    measured
        What `measure_works` says: every ladder gets one rung more, ``LBm(a)``, the highest bound for the share attained
        if no replica sustains more than was measured. It is no proof, and whoever costs less violates nothing.

    Raises
    ------
    InvalidInput
        If a variant's truth is neither law nor table and `works` does not have it.
    """
    rhythm = get_rhythm(decider, cluster_options, result.seed)
    attained = _count_attained(scenario, result)
    cases = _list_cases(scenario, result, rhythm, works)
    tighter = None if measured is None else _list_cases(scenario, result, rhythm, measured)
    models = tuple(
        ModelLadder(key, _sum_cost(result, key), share, _make_ladder(key, share, cases, tighter, options))
        for key, share in attained.items()
    )
    name = "all" if len(models) > 1 else models[0].ladder.name
    total = add_up_ladders(name, result.attainment_ratio, [one.ladder for one in models])
    if len(cases) > 1 and scenario.quota:
        lengths_s = (options or LadderOptions()).stretches_s
        stretch_s = min(min(lengths_s, key=lambda length_s: abs(length_s - _SHARED_STRETCH_S)), scenario.horizon_s)
        shares = [attained[case.model] for case in cases]
        caps = list_shared_caps(scenario, cases)
        rungs = [make_shared_rung(cases, shares, caps, stretch_s)]
        if can_price(cases, options or LadderOptions()):
            rungs.append(make_priced_rung(cases, shares, caps))
        for rung in rungs:
            total = total.add(replace(rung, attainment_ratio=result.attainment_ratio))
    return RunLadder(result.cost, total, models)


def _list_cases(
    scenario: Scenario,
    result: SimulationResult,
    rhythm: tuple[float, float],
    works: Mapping[VariantKey, ReplicaWork] | None,
) -> tuple[BoundCase, ...]:
    cases = make_bound_cases(scenario, period_s=rhythm[0], phase_s=rhythm[1], works=works)
    return tuple(replace(case, keeps_rhythm=_is_in_rhythm(case, result)) for case in cases)


def _is_in_rhythm(case: BoundCase, result: SimulationResult) -> bool:
    """Return whether all replicas of `case` that were asked for or away in `result` were so at its moments."""
    moments_ns = {to_ns(moment_s) for moment_s in list_moments(case).tolist()}
    changes_ns = (result.variants[variant.key].replicas.requested.time_ns for variant in case.variants)
    return all(time_ns in moments_ns for times_ns in changes_ns for time_ns in times_ns if time_ns > 0)


def _make_ladder(
    key: ModelKey,
    attainment_ratio: float,
    cases: Sequence[BoundCase],
    tighter: Sequence[BoundCase] | None,
    options: LadderOptions | None,
) -> Ladder:
    """Return the ladder of one LLM: the sum of those of its `cases`, with the measured ones where there are any."""
    ladders = []
    for number, case in enumerate(cases):
        if case.model == key:
            ladder = compute_ladder(case, attainment_ratio, options)
            if tighter is not None:
                ladder = ladder.add(_make_measured_rung(tighter[number], attainment_ratio, options))
            ladders.append(ladder)
    return add_up_ladders(key.model_id, attainment_ratio, ladders)


def _make_measured_rung(case: BoundCase, attainment_ratio: float, options: LadderOptions | None) -> Rung:
    """Return the highest rung for that share of a case with measured ceilings."""
    ladder = compute_ladder(case, attainment_ratio, replace(options or LadderOptions(), has_reference=False))
    rungs = [rung for rung in ladder.rungs if rung.attainment_ratio is not None]
    best = max((rung for rung in rungs if rung.applies_to(attainment_ratio)), key=lambda rung: rung.cost)
    text = f"{best.name} at the ceilings that were measured: {best.text}"
    return replace(best, name="LBm(a)", kind=RungKind.MEASURED, attainment_ratio=attainment_ratio, text=text)


def _sum_cost(result: SimulationResult, key: ModelKey) -> float:
    """Return what the replicas of one LLM cost [currency]."""
    variants = result.variants.items()
    return math.fsum(
        figures.cost for one, figures in variants if (one.namespace, one.model_id) == (key.namespace, key.model_id)
    )


def _count_attained(scenario: Scenario, result: SimulationResult) -> dict[ModelKey, float]:
    """Return the share of its requests that kept every promise, by LLM; 1 without any."""
    requests = {model.key: 0 for model in scenario.models}
    met = dict(requests)
    for figures in result.classes:
        requests[figures.model] += figures.requests
        met[figures.model] += figures.met_all
    return {key: met[key] / count if count else 1.0 for key, count in requests.items()}
