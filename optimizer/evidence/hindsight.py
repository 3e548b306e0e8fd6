"""Bounds in hindsight: what a fleet that knew the demand, started at once and switched for nothing would have cost.

None of them can be had: they serve everything (100 % attainment is assumed), without margins, start-up or error.

    homogeneous   min over v of  sum_t dt * p_v * ceil(rate_t / mu_v(t))          switching freely between steps
    static peak   min over v of  T  * p_v * max_t ceil(rate_t / mu_v(t))          one fleet for the highest step
    mix           sum_t dt * min over y of p*y  with  sum_v mu_v(t)*y_v >= rate_t   switching freely, any mix

Capacities are those within the SLO, without the utilization ceiling that deciding keeps free.
"""

from __future__ import annotations

import math

from optimizer.domain import ServedModel, Settings, Variant
from optimizer.errors import InvalidInput
from optimizer.evidence.record import DemandStep, compute_capacity_per_s, get_hours

MOST_MIXES = 2_000_000
"""More mixes of one step than this are not enumerated."""
_ROUNDING = 1e-9


def compute_homogeneous_costs(
    model: ServedModel, steps: tuple[DemandStep, ...], settings: Settings
) -> dict[str, float]:
    """Return, by variant, the cost of serving `steps` with it alone, switching freely; infinite where it cannot."""
    return {
        variant.name: sum(
            get_hours(step) * settings.get_replica_cost_per_hour(variant) * _count(variant, model, step)
            for step in steps
        )
        for variant in model.variants
    }


def compute_static_peak_costs(
    model: ServedModel, steps: tuple[DemandStep, ...], settings: Settings
) -> dict[str, float]:
    """Return, by variant, the cost of a fleet of it alone that carries the highest step and never changes."""
    hours = sum(get_hours(step) for step in steps)
    return {
        variant.name: hours
        * settings.get_replica_cost_per_hour(variant)
        * max((_count(variant, model, step) for step in steps), default=0)
        for variant in model.variants
    }


def compute_mix_cost(model: ServedModel, steps: tuple[DemandStep, ...], settings: Settings) -> float:
    """Return the cost of the cheapest mix of every step, found by trying them all; infinite where nothing serves.

    Replicas of a mix share the load in proportion to their capacity. Bounds and limits are not looked at.

    Raises
    ------
    InvalidInput
        If a step has more than `MOST_MIXES` mixes.
    """
    return sum(get_hours(step) * compute_mix_cost_per_hour(model, step, settings) for step in steps)


def compute_mix_cost_per_hour(model: ServedModel, step: DemandStep, settings: Settings) -> float:
    """Return the cost of the cheapest mix that carries `step` [currency/h]."""
    offers = [
        (capacity_per_s, settings.get_replica_cost_per_hour(variant))
        for variant in model.variants
        if (capacity_per_s := compute_capacity_per_s(variant, model, step.workload)) > 0.0
    ]
    sizes = [_divide_up(step.arrival_rate_per_s, capacity_per_s) + 1 for capacity_per_s, _ in offers]
    if math.prod(sizes[:-1]) > MOST_MIXES:
        raise InvalidInput("mixes of a step", f"<= {MOST_MIXES}", math.prod(sizes[:-1]))
    return _find_cheapest_per_hour(step.arrival_rate_per_s, tuple(offers))


def _find_cheapest_per_hour(rate_per_s: float, offers: tuple[tuple[float, float], ...]) -> float:
    """Try every count of the first variant and leave the rest to the others; of the last one take what is left."""
    if rate_per_s <= _ROUNDING:
        return 0.0
    if not offers:
        return math.inf
    (capacity_per_s, cost_per_hour), others = offers[0], offers[1:]
    most = _divide_up(rate_per_s, capacity_per_s)
    if not others:
        return most * cost_per_hour
    return min(
        count * cost_per_hour + _find_cheapest_per_hour(rate_per_s - count * capacity_per_s, others)
        for count in range(most + 1)
    )


def _count(variant: Variant, model: ServedModel, step: DemandStep) -> float:
    """Return the replicas of `variant` that carry `step`; infinite where it carries nothing of it."""
    capacity_per_s = compute_capacity_per_s(variant, model, step.workload)
    if capacity_per_s <= 0.0:
        return 0.0 if step.arrival_rate_per_s <= 0.0 else math.inf
    return _divide_up(step.arrival_rate_per_s, capacity_per_s)


def _divide_up(rate_per_s: float, capacity_per_s: float) -> int:
    return math.ceil(rate_per_s / capacity_per_s * (1.0 - _ROUNDING))
