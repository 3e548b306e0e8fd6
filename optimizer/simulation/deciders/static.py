"""Fleets that never change: given counts, the cheapest mix for the peak, and the cheapest variant alone for the peak.

They are told the peak of the trace, which nobody knows beforehand; they see no page.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from optimizer.domain import (
    DecisionSettings,
    ModelKey,
    Need,
    NeedEntry,
    Plan,
    ServedModel,
    Settings,
    SignalSpec,
    SolveStatus,
    Variant,
    VariantKey,
    Workload,
)
from optimizer.errors import InvalidInput
from optimizer.simulation.decider import ScraperView
from optimizer.simulation.deciders.sizing import compute_capacities_per_s
from optimizer.solver import ModelProblem, VariantLine, solve_fleet


class StaticDecider:
    """Asks for the same counts for ever; asked once."""

    def __init__(self, replicas: Mapping[VariantKey, int]) -> None:
        self._replicas = dict(replicas)

    @property
    def period_s(self) -> float:
        """For ever [s]."""
        return math.inf

    @property
    def signals(self) -> Mapping[ModelKey, tuple[SignalSpec, ...]]:
        """None."""
        return {}

    def step(self, view: ScraperView) -> Mapping[VariantKey, int]:
        """Return the counts; see `Decider`."""
        del view
        return dict(self._replicas)


def make_static(replicas: Mapping[VariantKey, int]) -> StaticDecider:
    """Return a fleet of `replicas`; variants that are absent stay as they are."""
    return StaticDecider(replicas)


def make_static_peak(settings: Settings, peaks: Mapping[ModelKey, Workload]) -> StaticDecider:
    """Return the cheapest mix that carries the peak of every LLM under the utilization ceiling, bounds and limits kept.

    Parameters
    ----------
    settings
        LLMs, prices, limits and the ceiling.
    peaks
        Highest rate [1/s] and token lengths of each LLM; one that is absent gets its lower bounds.
    """
    problems = tuple(_pose(model, model.variants, peaks.get(model.key), settings) for model in settings.models)
    return StaticDecider(_count(solve_fleet(problems, settings.limits, settings.decision)))


def make_best_homogeneous(settings: Settings, peaks: Mapping[ModelKey, Workload]) -> StaticDecider:
    """Return, of every LLM, the cheapest fleet of one variant that carries its peak; others keep no replica.

    LLMs are looked at one by one, each under the whole of every limit.

    Raises
    ------
    InvalidInput
        When no variant alone carries the peak of an LLM.
    """
    replicas: dict[VariantKey, int] = {}
    for model in settings.models:
        plans = {
            variant.name: _solve_alone(model, variant, peaks.get(model.key), settings) for variant in model.variants
        }
        whole = {
            name: plan for name, plan in plans.items() if plan.status in (SolveStatus.OPTIMAL, SolveStatus.FEASIBLE)
        }
        if not whole:
            raise InvalidInput(f"peaks[{model.model_id}]", "within what one variant alone can carry", peaks[model.key])
        best = min(whole, key=lambda name: (whole[name].cost_per_hour, name))
        replicas |= {variant.key(variant.main_role): 0 for variant in model.variants} | _count((whole[best],))
    return StaticDecider(replicas)


def _solve_alone(model: ServedModel, variant: Variant, peak: Workload | None, settings: Settings) -> Plan:
    problem = _pose(model, (variant,), peak, settings)
    (plan,) = solve_fleet((problem,), settings.limits, settings.decision)
    return plan


def _pose(model: ServedModel, variants: tuple[Variant, ...], peak: Workload | None, settings: Settings) -> ModelProblem:
    capacities_per_s = {} if peak is None else compute_capacities_per_s(model, peak)
    need = Need() if peak is None else Need((NeedEntry(0.0, peak.arrival_rate_per_s),))
    lines = tuple(_draw(variant, capacities_per_s, settings, settings.decision) for variant in variants)
    return ModelProblem(model.key, lines, need, model.routing, model.min_replicas, model.max_replicas)


def _draw(
    variant: Variant, capacities_per_s: Mapping[VariantKey, float], settings: Settings, decision: DecisionSettings
) -> VariantLine:
    key = variant.key(variant.main_role)
    return VariantLine(
        key=key,
        capacity_per_s=capacities_per_s.get(key, 0.0) * decision.utilization_ceiling_ratio,
        cost_per_hour=settings.get_replica_cost_per_hour(variant),
        min_replicas=variant.min_replicas,
        max_replicas=variant.max_replicas,
    )


def _count(plans: tuple[Plan, ...]) -> dict[VariantKey, int]:
    return {line.key: line.replicas for plan in plans for line in plan.allocations}
