"""The ladder beside every result: what the same demand costs at least, by better and better planners. It runs nothing.

    LB0            least cost of the steps, real numbers of replicas, switching for nothing
    LBw, LBw(a)    real numbers of replicas over longer stretches, whatever the rhythm of the policy; everything, or
                   the share a of the requests
    LB1(a), LB1    whole replicas that change at the moments at which the policy may change them; the same two
    LBs(a)         LBw(a) of several LLMs together under the quota they share
    REF            whole replicas, and all that arrives in a minute served in it: what a planner would do, not a bound
    REF+           the cost of a path where REF itself is out of reach: no less than REF

LB0 <= LB1, LBw(a) <= LBw, LB1(a) <= LB1. A policy is judged against `Ladder.bound`, the highest of the bounds that hold
for the share it really attained; bounds for everything hold for those who miss nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from optimizer.simulation.bounds.case import (
    BoundCase,
    DemandRows,
    is_rhythm_kept,
    list_moments,
    make_mean_problem,
    make_step_problem,
    make_stretch_problem,
)
from optimizer.solver.clairvoyant import (
    ClairvoyantProblem,
    compute_miss_bound,
    compute_path_cost,
    count_states,
    find_incumbent,
    solve_clairvoyant,
    solve_time_expanded,
)

_BELOW_RATIO = 1e-9  # floating point in bills


class RungKind(StrEnum):
    """What a figure is."""

    EXACT = "exact optimum"  # of the relaxed problem described, hence a bound as well
    BOUND = "valid bound"
    REFERENCE = "reference"  # no bound: a policy may be cheaper
    INCUMBENT = "incumbent"  # what some path costs


@dataclass(frozen=True, slots=True)
class Rung:
    """One line of the ladder.

    Attributes
    ----------
    name
        Short name, such as ``LB1(99%)``.
    cost
        The figure [currency]; infinite where no fleet serves the demand.
    kind
        What it is.
    attainment_ratio
        It bounds those who attain this share [0-1] or more; None for what bounds nobody.
    text
        What it is, in words.
    assumptions
        What it rests on.
    states, steps
        Size of the dynamic program, 0 states where there is none.
    method
        How it was computed.
    """

    name: str
    cost: float
    kind: RungKind
    attainment_ratio: float | None
    text: str
    assumptions: tuple[str, ...]
    states: int
    steps: int
    method: str

    @property
    def is_bound(self) -> bool:
        """Whether it bounds a policy that attains its share."""
        return self.attainment_ratio is not None


@dataclass(frozen=True, slots=True)
class Ladder:
    """All rungs for one attained share.

    Attributes
    ----------
    name
        The LLM, or what is added up.
    attainment_ratio
        Share of the requests that kept their SLO [0-1].
    rungs
        Ascending by cost.
    """

    name: str
    attainment_ratio: float
    rungs: tuple[Rung, ...]

    @property
    def bound(self) -> float:
        """The highest bound for whoever attains no less than `attainment_ratio` [currency]."""
        return max((rung.cost for rung in self.rungs if self._holds(rung)), default=0.0)

    @property
    def bound_name(self) -> str:
        """Name of the rung that gives `bound`, "" without any."""
        holding = [rung for rung in self.rungs if self._holds(rung)]
        return max(holding, key=lambda rung: rung.cost).name if holding else ""

    def get(self, name: str) -> Rung | None:
        """Return the rung called `name`, None when there is none."""
        return next((rung for rung in self.rungs if rung.name == name), None)

    def is_above_bound(self, cost: float) -> bool:
        """Return whether a bill of `cost` [currency] is possible; where it is not, simulator or bound is wrong."""
        return cost >= self.bound * (1.0 - _BELOW_RATIO)

    def render(self) -> tuple[str, ...]:
        """Return one line of text per rung, ascending."""
        width = max((len(rung.name) for rung in self.rungs), default=0)
        return tuple(f"{rung.name:<{width}}  {rung.cost:>12.4f}  {rung.kind}: {rung.text}" for rung in self.rungs)

    def _holds(self, rung: Rung) -> bool:
        return rung.attainment_ratio is not None and rung.attainment_ratio <= self.attainment_ratio


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


PHYSICS = "no replica is faster than the law given, works on more than it holds, or more than its ceiling"
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
    if len(list_moments(case)) - 1 <= options.most_steps:
        rungs += _list_step_rungs(case, attainment_ratio, options)
    if options.has_reference:
        rungs.append(_make_reference(case, options))
    return Ladder(case.name, attainment_ratio, tuple(sorted(rungs, key=lambda rung: (rung.cost, rung.name))))


def add_up_ladders(name: str, attainment_ratio: float, ladders: Sequence[Ladder]) -> Ladder:
    """Return the ladder of several LLMs together: rung by rung, for those rungs that all of them have.

    A sum of bounds is a bound of the sum; limits that they share are left out. `attainment_ratio` is for display: what
    holds is judged in each of `ladders`, so that the sum of a rung of one LLM's own share stays one.
    """
    if len(ladders) < 2:
        return Ladder(name, attainment_ratio, ladders[0].rungs if ladders else ())
    parts = [{_get_kin(rung): rung for rung in ladder.rungs} for ladder in ladders]
    shared = [kin for kin in parts[0] if all(kin in part for part in parts)]
    best = [
        next(rung for rung in ladder.rungs if rung.name == ladder.bound_name) for ladder in ladders if ladder.bound_name
    ]
    rungs = [_add_up([part[kin] for part in parts], kin[0], attainment_ratio) for kin in shared]
    if len(best) == len(ladders):
        rungs.append(_add_up(best, "best", attainment_ratio))
    return Ladder(name, attainment_ratio, tuple(sorted(rungs, key=lambda rung: (rung.cost, rung.name))))


# --- Rungs ------------------------------------------------------------------------------------------------------------
def _list_step_rungs(case: BoundCase, attainment_ratio: float, options: LadderOptions) -> list[Rung]:
    problem, rows = make_step_problem(case)
    free = solve_time_expanded(problem, with_switching=False)
    texts = PHYSICS, PERFECT, RHYTHM
    text = "real numbers of replicas, switching for nothing"
    rungs = [Rung("LB0", free.bound, RungKind.BOUND, 1.0, text, texts, 0, free.steps, "linear program, dual value")]
    steps = len(list_moments(case)) - 1
    is_small = count_states(problem) * steps <= options.most_state_steps
    rungs.append(_make_whole_rung(problem, (*texts, TIMED), is_small=is_small))
    if attainment_ratio < 1.0:
        rungs.append(_make_share_rung(problem, rows, attainment_ratio, options, is_small=is_small))
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
    problem: ClairvoyantProblem, rows: DemandRows, attainment_ratio: float, options: LadderOptions, *, is_small: bool
) -> Rung:
    name = f"LB1({_render_share(attainment_ratio)})"
    text, texts = "the same for this share of the requests", (PHYSICS, PERFECT, RHYTHM, TIMED, _MISSES)
    allowances = rows.compute_allowances(attainment_ratio)
    if is_small:
        priced = compute_miss_bound(problem, allowances, refinements=options.refinements)
        method = f"dynamic program at {priced.evaluations} prices of a miss"
        return Rung(
            name, priced.cost, RungKind.BOUND, attainment_ratio, text, texts, priced.states, priced.steps, method
        )
    relaxed = solve_time_expanded(problem, allowances=allowances)
    method = "linear program, dual value"
    return Rung(name, relaxed.bound, RungKind.BOUND, attainment_ratio, text, texts, 0, relaxed.steps, method)


def _list_stretch_rungs(case: BoundCase, attainment_ratio: float, options: LadderOptions) -> list[Rung]:
    texts = PHYSICS, PERFECT, TIMED
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
    texts = PHYSICS, PERFECT, TIMED, "all that arrives in a stretch is served in it; nothing is put off"
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


def _get_kin(rung: Rung) -> tuple[str, bool]:
    """Return what rungs of several LLMs have in common: the name without the share."""
    name, opened, _ = rung.name.partition("(")
    return (f"{name}(a)" if opened else name), rung.is_bound


def _add_up(rungs: Sequence[Rung], name: str, attainment_ratio: float) -> Rung:
    first = rungs[0]
    kinds = {rung.kind for rung in rungs}
    shares = [rung.attainment_ratio for rung in rungs if rung.attainment_ratio is not None]
    is_for_share = "(" in name or name == "best"
    return Rung(
        name=name,
        cost=math.fsum(rung.cost for rung in rungs),
        kind=first.kind if len(kinds) == 1 else RungKind.BOUND,
        attainment_ratio=None if not shares else attainment_ratio if is_for_share else max(shares),
        text=f"the sum over {len(rungs)}: {first.text}",
        assumptions=first.assumptions,
        states=sum(rung.states for rung in rungs),
        steps=max(rung.steps for rung in rungs),
        method=first.method,
    )
