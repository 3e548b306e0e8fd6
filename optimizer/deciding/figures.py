"""Figures of a decision: coverage and utilization. They are reported, not decided with."""

from __future__ import annotations

from collections.abc import Mapping

from optimizer.deciding.course import Course
from optimizer.domain import VariantKey
from optimizer.policy import CapacityNeed
from optimizer.stabilization import compute_capacity_per_s


def compute_coverage_ratio(course: Course, planned: Mapping[VariantKey, int]) -> float | None:
    """Return the share of the forecast demand that `planned` serves within the SLO, None when it cannot be told."""
    proposal = course.wish.proposal
    if not isinstance(proposal, CapacityNeed) or proposal.forecast_per_s.value is None:
        return None
    if proposal.forecast_per_s.value <= 0.0:
        return 1.0
    capacities = {entry.key: entry.capacity_per_s for entry in proposal.capacity_table.entries}
    carried_per_s = compute_capacity_per_s(planned, capacities, proposal.routing)
    return min(carried_per_s / proposal.forecast_per_s.value, 1.0)


def compute_utilization_ratio(course: Course) -> float | None:
    """Return demand over ready capacity within the SLO, None where either is unknown or nothing is ready."""
    proposal, view = course.wish.proposal, course.wish.sight.view
    if not isinstance(proposal, CapacityNeed) or view.demand.rate_per_s.value is None:
        return None
    capacities = {entry.key: entry.capacity_per_s for entry in proposal.capacity_table.entries}
    ready = {line.key: line.state.ready_replicas for line in view.variants}
    ready_per_s = compute_capacity_per_s(ready, capacities, proposal.routing)
    return view.demand.rate_per_s.value / ready_per_s if ready_per_s > 0.0 else None
