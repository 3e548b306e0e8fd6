"""The ladder beside every result: what the same demand costs at least, by better and better planners. It runs nothing.

    LB0            least cost of the steps, real numbers of replicas, switching for nothing
    LBw, LBw(a)    real numbers of replicas over longer stretches, whatever the rhythm of the policy; everything, or
                   the share a of the requests
    LB1(a), LB1    whole replicas that change at the moments at which the policy may change them; the same two
    LBs(a)         LBw(a) of several LLMs together under the quota they share
    LBp(a)         LB1(a) of several LLMs together, what they share being priced in every step
    LBm(a)         the highest of these for the share a if no replica sustains more than was measured: no proof
    REF            whole replicas, and all that arrives in a minute served in it: what a planner would do, not a bound
    REF+           the cost of a path where REF itself is out of reach: no less than REF

LB0 <= LB1, LBw(a) <= LBw, LB1(a) <= LB1. A policy is judged against `Ladder.bound`, the highest of the bounds that hold
for the share it really attained; bounds for everything hold for those who miss nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from optimizer.simulation.bounds.case import (
    BoundCase,
    DemandRows,
    is_rhythm_kept,
    list_moments,
    make_mean_problem,
    make_step_problem,
    make_stretch_problem,
)
from optimizer.simulation.bounds.rungs import Ladder, Rung, RungKind
from optimizer.solver.clairvoyant import (
    ClairvoyantProblem,
    compute_miss_bound,
    compute_path_cost,
    count_states,
    find_incumbent,
    solve_clairvoyant,
    solve_time_expanded,
)


@dataclass(frozen=True, slots=True)
class LadderOptions:
    """How much work a ladder may be.

    Attributes
    ----------
    stretches_s
        Stretches tried for LBw, the highest is reported [s].
    mean_s
        Stretch of the reference [s].
    most_state_steps
        States times steps of a dynamic program; where there are more, the linear relaxation stands in.
    most_steps
        With more moments than these LB0 and LB1 are left out: where they lie so close, little is due in between.
    refinements
        Prices of a miss tried after the coarse ones.
    has_reference
        Whether REF is computed.
    """

    stretches_s: tuple[float, ...] = (300.0, 900.0, 3600.0)
    mean_s: float = 60.0
    most_state_steps: int = 40_000_000
    most_steps: int = 20_000
    refinements: int = 3
    has_reference: bool = True


PHYSICS = "no replica is faster than the law given, works on more than it holds, or more than all the time"
MEASURED = "no replica is faster than the law given, nor serves more work well than its ceiling, which was measured"
PERFECT = "perfect routing, no queue, no interference, no drain; replicas that start need no quota"
TIMED = "starts perfectly timed and billed with the shortest start-up there is"
RHYTHM = "replicas change only at 0 and at phase + n * period; who waits for devices needs a step or more to start"
_MISSES = "what may be missed is the largest of the requests, priced at its best"


def compute_ladder(case: BoundCase, attainment_ratio: float, options: LadderOptions | None = None) -> Ladder:
    """Return the ladder of one LLM for whoever lets `attainment_ratio` [0-1] of its requests keep their SLO.

    Raises
    ------
    InvalidInput
        If the case has no variants, or costs get too large for whole cost units.
    """
    options = options or LadderOptions()
    rungs = _list_stretch_rungs(case, attainment_ratio, options)
    if 0 < len(list_moments(case)) - 1 <= options.most_steps:
        rungs += _list_step_rungs(case, attainment_ratio, options)
    if options.has_reference:
        rungs.append(_make_reference(case, options))
    if case.is_measured:
        proven = RungKind.BOUND, RungKind.EXACT
        rungs = [replace(rung, kind=RungKind.MEASURED) if rung.kind in proven else rung for rung in rungs]
    return Ladder(case.name, attainment_ratio, tuple(sorted(rungs, key=lambda rung: (rung.cost, rung.name))))


def get_speed_text(case: BoundCase) -> str:
    """Return what is taken for granted about the speed of replicas: physics, or a ceiling that was measured."""
    return MEASURED if case.is_measured else PHYSICS


# --- Rungs ------------------------------------------------------------------------------------------------------------
def _list_step_rungs(case: BoundCase, attainment_ratio: float, options: LadderOptions) -> list[Rung]:
    problem, rows = make_step_problem(case)
    free = solve_time_expanded(problem, with_switching=False)
    texts = get_speed_text(case), PERFECT, RHYTHM
    text = "real numbers of replicas, switching for nothing"
    rungs = [Rung("LB0", free.bound, RungKind.BOUND, 1.0, text, texts, 0, free.steps, "linear program, dual value")]
    steps = len(list_moments(case)) - 1
    is_small = count_states(problem) * steps <= options.most_state_steps
    rungs.append(_make_whole_rung(problem, (*texts, TIMED), is_small=is_small))
    if attainment_ratio < 1.0:
        told = (*texts, TIMED, _MISSES)
        rungs.append(
            _make_share_rung(problem, rows, attainment_ratio, told, refinements=options.refinements, is_small=is_small)
        )
    if is_rhythm_kept(case):
        return rungs
    return [replace(rung, kind=RungKind.REFERENCE, attainment_ratio=None) for rung in rungs]


def _make_whole_rung(problem: ClairvoyantProblem, texts: tuple[str, ...], *, is_small: bool) -> Rung:
    if is_small:
        exact = solve_clairvoyant(problem)
        text = "whole replicas that change when the policy may, and serve everything"
        method = "dynamic program"
        return Rung("LB1", exact.cost, RungKind.EXACT, 1.0, text, texts, exact.states, exact.steps, method)
    relaxed = solve_time_expanded(problem)
    text = "real numbers of replicas that change when the policy may, and serve everything"
    return Rung("LB1", relaxed.bound, RungKind.BOUND, 1.0, text, texts, 0, relaxed.steps, "linear program, dual value")


def _make_share_rung(
    problem: ClairvoyantProblem,
    rows: DemandRows,
    attainment_ratio: float,
    texts: tuple[str, ...],
    *,
    refinements: int,
    is_small: bool,
) -> Rung:
    name = f"LB1({_render_share(attainment_ratio)})"
    text = "the same for this share of the requests"
    allowances = rows.compute_allowances(attainment_ratio)
    if is_small:
        priced = compute_miss_bound(problem, allowances, refinements=refinements)
        method = f"dynamic program at {priced.evaluations} prices of a miss"
        return Rung(
            name, priced.cost, RungKind.BOUND, attainment_ratio, text, texts, priced.states, priced.steps, method
        )
    relaxed = solve_time_expanded(problem, allowances=allowances)
    method = "linear program, dual value"
    return Rung(name, relaxed.bound, RungKind.BOUND, attainment_ratio, text, texts, 0, relaxed.steps, method)


def _list_stretch_rungs(case: BoundCase, attainment_ratio: float, options: LadderOptions) -> list[Rung]:
    texts = get_speed_text(case), PERFECT, TIMED
    rungs: dict[str, Rung] = {}
    for stretch_s in sorted({min(stretch_s, case.horizon_s) for stretch_s in options.stretches_s}):
        problem, rows = make_stretch_problem(case, stretch_s)
        for share in {1.0, attainment_ratio}:
            name = "LBw" if share == 1.0 else f"LBw({_render_share(share)})"
            allowances = None if share == 1.0 else rows.compute_allowances(share)
            answer = solve_time_expanded(problem, allowances=allowances)
            text = f"real numbers of replicas over stretches of {stretch_s:g} s, whatever the rhythm"
            method = "linear program, dual value"
            found = Rung(name, answer.bound, RungKind.BOUND, share, text, texts, 0, answer.steps, method)
            if name not in rungs or found.cost > rungs[name].cost:
                rungs[name] = found
    return list(rungs.values())


def _make_reference(case: BoundCase, options: LadderOptions) -> Rung:
    problem, _ = make_mean_problem(case, min(options.mean_s, case.horizon_s))
    texts = get_speed_text(case), PERFECT, TIMED, "all that arrives in a stretch is served in it; nothing is put off"
    if count_states(problem) * len(problem.durations_s) <= options.most_state_steps:
        exact = solve_clairvoyant(problem)
        text = f"whole replicas for means over {options.mean_s:g} s"
        return Rung(
            "REF", exact.cost, RungKind.REFERENCE, None, text, texts, exact.states, exact.steps, "dynamic program"
        )
    relaxed = solve_time_expanded(problem)
    path = find_incumbent(problem, relaxed.replicas) if relaxed.bound < math.inf else None
    cost = math.inf if path is None else compute_path_cost(problem, path)
    text = f"a path of whole replicas for means over {options.mean_s:g} s; no path is below {relaxed.bound:.4f}"
    method = "rounded linear program, improved"
    return Rung("REF+", cost, RungKind.INCUMBENT, None, text, texts, 0, len(problem.durations_s), method)


def _render_share(attainment_ratio: float) -> str:
    return f"{100.0 * attainment_ratio:.4g}%"
