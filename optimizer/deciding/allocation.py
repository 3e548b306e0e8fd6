"""Allocate: the wishes of all LLMs become plans under bounds and shared limits. It neither forecasts nor publishes.

Capacity that is proposed is solved for together; counts that are proposed, or held, enter as bounds. A plan that
changes the composition is thought over twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from optimizer.deciding.course import Course
from optimizer.deciding.leaning import lean
from optimizer.deciding.limiting import admit_minima, find_caps
from optimizer.deciding.proposing import Wish
from optimizer.deciding.second_thoughts import (
    SecondThought,
    SlowingThought,
    SwitchingThought,
    Verdict,
    raise_floor,
)
from optimizer.deciding.solving import solve_remembered
from optimizer.domain import DecisionSettings, PodPhase, Settings, VariantKey
from optimizer.policy import VariantView, compute_lead_time_s
from optimizer.solver import ModelProblem, VariantLine

PLAN_HORIZON_S = 300.0
"""Time over which the price of a start is spread [s]: a switch must pay within five minutes, before need moves on."""


def allocate(wishes: tuple[Wish, ...], settings: Settings, now_s: float) -> tuple[Course, ...]:
    """Return one course per wish, in their order, that together keep every limit, as far as what must stay does."""
    caps = find_caps(settings.limits)
    problems = tuple(_pose(wish, caps, settings.decision, now_s) for wish in wishes)
    settings = replace(settings, limits=admit_minima(settings.limits, problems))
    plans = solve_remembered(problems, settings)
    courses = tuple(Course(*parts) for parts in zip(wishes, problems, plans, strict=True))
    for thought in (SlowingThought(), SwitchingThought(settings, now_s)):
        courses = _reconsider(courses, thought, settings)
    return courses


def _reconsider(courses: tuple[Course, ...], thought: SecondThought, settings: Settings) -> tuple[Course, ...]:
    """Return `courses` with those plans replaced that `thought` finds a better restricted one for."""
    restricted: dict[int, ModelProblem] = {}
    for index, course in enumerate(courses):
        problem = thought.restrict(course) if course.wish.hold is None else None
        if problem is not None:
            restricted[index] = problem
    verdicts: dict[int, Verdict] = {}
    while restricted:
        problems = tuple(restricted.get(index, course.problem) for index, course in enumerate(courses))
        plans = solve_remembered(problems, settings)
        verdicts |= {index: thought.judge(courses[index], plans[index]) for index in restricted}
        if all(verdicts[index].is_taken for index in restricted):
            courses = tuple(
                replace(course, problem=problem, plan=plan)
                for course, problem, plan in zip(courses, problems, plans, strict=True)
            )
            break
        restricted = {index: problem for index, problem in restricted.items() if verdicts[index].is_taken}
    return tuple(
        replace(
            course,
            kept_reason=verdicts[index].reason if verdicts[index].is_taken else course.kept_reason,
            switch_since_s=verdicts[index].switch_since_s,
        )
        if index in verdicts
        else course
        for index, course in enumerate(courses)
    )


def _pose(wish: Wish, caps: Mapping[VariantKey, int], decision: DecisionSettings, now_s: float) -> ModelProblem:
    """Return the problem of one LLM; `caps` are the most replicas of variants that have a limit of their own."""
    view = wish.sight.view
    lines = tuple(_draw_line(line, wish, decision, now_s) for line in view.variants)
    lines = tuple(_give(line, caps) if line.key in wish.sight.overriding.given else line for line in lines)
    if wish.hold is None and wish.replicas is None:
        lines = lean(lines, wish.need, wish.routing)
    fixed = wish.replicas
    if wish.keep is not None:
        kept = {line.key: _count_kept(line, wish, caps) for line in view.variants}
        lines = tuple(raise_floor(line, kept[line.key]) for line in lines)
        if fixed is not None:
            fixed = {key: max(count, kept[key]) for key, count in fixed.items()}
    least = wish.least_replicas
    if wish.hold is not None:
        fixed = None
        lines = tuple(_freeze(line) for line in lines) if sum(line.min_replicas for line in lines) >= least else lines
    most = sum(line.max_replicas for line in lines if line.max_replicas is not None)
    if all(line.max_replicas is not None for line in lines):
        least = min(least, most)
    maximum = view.model.max_replicas
    return ModelProblem(
        key=view.model.key,
        lines=lines,
        need=wish.need if wish.hold is None else replace(wish.need, entries=()),
        routing=wish.routing,
        min_replicas=least,
        max_replicas=None if maximum is None else max(maximum, least),
        fixed=fixed,
        priority=max((entry.priority for entry in view.model.service_classes), default=0),
    )


def _count_kept(line: VariantView, wish: Wish, caps: Mapping[VariantKey, int]) -> int:
    """Return how many replicas of a variant stay while nothing may shrink: those beyond a limit of its own may.

    What is held without knowing why keeps even these, unless it is known that none of them serves: then they are of no
    use where they are, and another variant may start one.
    """
    is_idle = line.state.reason is None and line.state.ready_replicas == 0
    published = line.published_replicas
    return min(published, caps.get(line.key, published)) if wish.hold is None or is_idle else published


def _give(line: VariantLine, caps: Mapping[VariantKey, int]) -> VariantLine:
    """Return a variant whose number a person gave, as the plan counts on it: as far as it finds a place."""
    count = min(line.present_replicas, caps.get(line.key, line.present_replicas))
    return replace(line, min_replicas=count, max_replicas=count, present_replicas=count)


def _freeze(line: VariantLine) -> VariantLine:
    return replace(line, max_replicas=line.min_replicas)


def _draw_line(line: VariantView, wish: Wish, decision: DecisionSettings, now_s: float) -> VariantLine:
    variant = line.variant
    # What a start costs: its own time, and that of what it replaces until somebody has seen it serve and acted on that.
    overlap_s = variant.startup_s + decision.period_s + 2.0 * decision.actuation_delay_s
    capacity_per_s = wish.capacity_table.get(line.key) or 0.0
    return VariantLine(
        key=line.key,
        capacity_per_s=capacity_per_s * decision.utilization_ceiling_ratio,
        cost_per_hour=line.replica_cost_per_hour,
        min_replicas=variant.min_replicas,
        max_replicas=variant.max_replicas,
        present_replicas=line.published_replicas,
        startup_s=compute_lead_time_s(variant, decision),
        starting_s=_list_starting_s(line, now_s),
        start_cost_per_hour=line.replica_cost_per_hour * overlap_s / PLAN_HORIZON_S,
    )


def _list_starting_s(line: VariantView, now_s: float) -> tuple[float, ...]:
    """Return the times until those published replicas serve that do not yet [s]."""
    startup_s = line.variant.startup_s
    missing = max(line.published_replicas - line.state.ready_replicas, 0)
    starting = [pod for pod in line.state.pods if pod.phase is PodPhase.STARTING]
    known_s = [max(startup_s - (now_s - pod.created_s), 0.0) for pod in starting if pod.created_s is not None]
    left_s = sorted(known_s)[:missing]
    return (*left_s, *(startup_s for _ in range(missing - len(left_s))))
