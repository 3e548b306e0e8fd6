"""Allocate: the wishes of all LLMs become plans under bounds and shared limits. It neither forecasts nor publishes.

Capacity that is proposed is solved for together; counts that are proposed, or held, enter as bounds. A plan of another
composition is taken only where it saves enough.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from optimizer.deciding.proposing import Wish
from optimizer.domain import DecisionSettings, Plan, PodPhase, Settings, SolveStatus
from optimizer.policy import FixedReplicas, VariantView, compute_lead_time_s
from optimizer.solver import ModelProblem, VariantLine, solve_fleet
from optimizer.stabilization import is_switch, is_worth_switching

PLAN_HORIZON_S = 600.0
"""Time over which the price of a start is spread [s]: a switch must pay within ten minutes."""


@dataclass(frozen=True, slots=True)
class Course:
    """What one LLM is to come to.

    Attributes
    ----------
    wish
        What was wanted.
    problem
        What the solver was asked.
    plan
        Its answer.
    kept_from
        The cheaper plan that was not taken, because it would have switched for too little; None when there is none.
    """

    wish: Wish
    problem: ModelProblem
    plan: Plan
    kept_from: Plan | None = None


def allocate(wishes: tuple[Wish, ...], settings: Settings, now_s: float) -> tuple[Course, ...]:
    """Return one course per wish, in their order, that together keep every limit."""
    problems = tuple(_pose(wish, settings.decision, now_s) for wish in wishes)
    plans = solve_fleet(problems, settings.limits, settings.decision)
    switching = {
        index
        for index, (wish, plan) in enumerate(zip(wishes, plans, strict=True))
        if wish.hold is None and is_switch(plan, wish.sight.published)
    }
    courses = tuple(Course(*parts) for parts in zip(wishes, problems, plans, strict=True))
    return _spare_switches(courses, switching, settings) if switching else courses


def _spare_switches(courses: tuple[Course, ...], switching: set[int], settings: Settings) -> tuple[Course, ...]:
    """Return `courses` with those of `switching` that save too little replaced by plans that give up nothing."""
    staying = switching
    while staying:
        problems = tuple(
            _forbid_releases(course) if index in staying else course.problem for index, course in enumerate(courses)
        )
        plans = solve_fleet(problems, settings.limits, settings.decision)
        too_little = {
            index
            for index in staying
            if not is_worth_switching(courses[index].plan, plans[index], settings.decision.min_saving_ratio)
        }
        if too_little == staying:
            kept = tuple(course.plan if index in staying else None for index, course in enumerate(courses))
            return tuple(
                replace(course, plan=plan, kept_from=other)
                for course, plan, other in zip(courses, plans, kept, strict=True)
            )
        staying = too_little
    return courses


def _forbid_releases(course: Course) -> ModelProblem:
    published = course.wish.sight.published
    lines = tuple(_raise_floor(line, published[line.key]) for line in course.problem.lines)
    return replace(course.problem, lines=lines)


def _raise_floor(line: VariantLine, replicas: int) -> VariantLine:
    """Return `line` with at least `replicas`, as far as its upper bound allows."""
    allowed = replicas if line.max_replicas is None else min(replicas, line.max_replicas)
    return replace(line, min_replicas=max(line.min_replicas, allowed))


def _pose(wish: Wish, decision: DecisionSettings, now_s: float) -> ModelProblem:
    """Return the problem of one LLM."""
    view = wish.sight.view
    lines = tuple(_draw_line(line, wish, decision, now_s) for line in view.variants)
    fixed = wish.replicas
    if wish.keep is not None:
        lines = tuple(_raise_floor(line, wish.sight.published[line.key]) for line in lines)
        if fixed is not None:
            fixed = {key: max(count, wish.sight.published[key]) for key, count in fixed.items()}
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


def _freeze(line: VariantLine) -> VariantLine:
    return replace(line, max_replicas=line.min_replicas)


def _draw_line(line: VariantView, wish: Wish, decision: DecisionSettings, now_s: float) -> VariantLine:
    variant = line.variant
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
        start_cost_per_hour=line.replica_cost_per_hour * variant.startup_s / PLAN_HORIZON_S,
    )


def _list_starting_s(line: VariantView, now_s: float) -> tuple[float, ...]:
    """Return the times until those published replicas serve that do not yet [s]."""
    startup_s = line.variant.startup_s
    missing = max(line.published_replicas - line.state.ready_replicas, 0)
    starting = [pod for pod in line.state.pods if pod.phase is PodPhase.STARTING]
    known_s = [max(startup_s - (now_s - pod.created_s), 0.0) for pod in starting if pod.created_s is not None]
    left_s = sorted(known_s)[:missing]
    return (*left_s, *(startup_s for _ in range(missing - len(left_s))))


def is_planned(course: Course) -> bool:
    """Whether there is a plan to follow rather than a number to hold."""
    return course.wish.hold is None and course.plan.status is not SolveStatus.FAILED


def is_fixed(course: Course) -> bool:
    """Whether counts were proposed rather than capacity."""
    return isinstance(course.wish.proposal, FixedReplicas)
