"""Take steps: of every plan what may be published now, so that ready capacity never dips and no limit is overrun."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.deciding.course import Course
from optimizer.domain import Limit, LimitKind, Routing
from optimizer.stabilization import Standing, Step, fit_to_limits, sequence_steps


@dataclass(frozen=True, slots=True)
class Settled:
    """A course with the steps taken on it now, one per variant, in the order of its problem's lines."""

    course: Course
    steps: tuple[Step, ...]


def take_steps(courses: tuple[Course, ...], limits: tuple[Limit, ...]) -> tuple[Settled, ...]:
    """Return the steps that may be taken now, for all LLMs."""
    standings = [_describe(course) for course in courses]
    steps = [
        _sequence(course, standing) if course.is_planned else _stay(standing)
        for course, standing in zip(courses, standings, strict=True)
    ]
    everybody = tuple(entry for standing in standings for entry in standing)
    bounds = tuple(bound for course in courses if (bound := _get_total_bound(course)) is not None)
    taken = tuple(step for part in steps for step in part)
    fitted = {step.key: step for step in fit_to_limits(everybody, taken, (*limits, *bounds))}
    return tuple(
        Settled(course, tuple(fitted[step.key] for step in part)) for course, part in zip(courses, steps, strict=True)
    )


def _get_total_bound(course: Course) -> Limit | None:
    """Return the upper bound over all variants of one LLM as a limit, None when it has none."""
    model = course.wish.sight.model
    if model.max_replicas is None:
        return None
    name = f"max_replicas of {model.model_id}"
    coefficients = {line.key: 1.0 for line in course.problem.lines}
    return Limit(name, LimitKind.QUOTA, coefficients, max(model.max_replicas, course.problem.min_replicas))


def _describe(course: Course) -> tuple[Standing, ...]:
    targets = {entry.key: entry.replicas for entry in course.plan.allocations}
    lines = {line.key: line for line in course.problem.lines}
    given = course.wish.sight.overriding.given
    return tuple(
        Standing(
            key=view.key,
            published_replicas=view.published_replicas,
            ready_replicas=view.state.ready_replicas,
            requested_replicas=view.state.requested_replicas,
            target_replicas=view.published_replicas if view.key in given else targets[view.key],
            capacity_per_s=1.0 if course.is_fixed else lines[view.key].capacity_per_s,
            cost_per_hour=view.replica_cost_per_hour,
            max_replicas=None if view.key in given else view.variant.max_replicas,
            is_given=view.key in given,
        )
        for view in course.wish.sight.view.variants
    )


def _sequence(course: Course, standings: tuple[Standing, ...]) -> tuple[Step, ...]:
    if course.is_fixed:
        # Counts carry no capacity: one replica stands for one unit, and what is wanted is the need.
        wanted = float(sum(entry.target_replicas for entry in standings))
        return sequence_steps(standings, wanted, Routing.WEIGHTED, course.problem.min_replicas)
    return sequence_steps(standings, course.plan.need_per_s, course.plan.routing, course.problem.min_replicas)


def _stay(standings: tuple[Standing, ...]) -> tuple[Step, ...]:
    """Return the published numbers, brought within their bounds."""
    return tuple(Step(entry.key, max(entry.target_replicas, 0)) for entry in standings)
