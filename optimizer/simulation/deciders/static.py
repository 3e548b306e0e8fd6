"""Fleets that never change: given counts, the cheapest mix for the peak, and the cheapest variant alone for the peak.

They are told the peak of the trace, which nobody knows beforehand; they see no page. Where an LLM has variants of role
prefill and of role decode, the replicas of each of the two carry all of its requests; where it has variants for both
besides, it is served in one of the two ways, the cheaper one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import product
from typing import TypeAlias

from optimizer.domain import (
    Limit,
    LimitKind,
    ModelKey,
    Need,
    NeedEntry,
    Plan,
    Role,
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

Way: TypeAlias = tuple[tuple[Variant, ...], ...]
"""Pools of variants; the replicas of each pool together carry all requests of an LLM."""

Posed: TypeAlias = tuple[tuple[ModelProblem, ...], tuple[Limit, ...]]
"""A program for each pool of an LLM, and the limit that holds for its pools together."""

_WHOLE = (SolveStatus.OPTIMAL, SolveStatus.FEASIBLE)


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
    posed = [
        _pose(model, _choose_way(model, peaks.get(model.key), settings), peaks.get(model.key), settings)
        for model in settings.models
    ]
    return StaticDecider(_count(_solve(posed, settings)))


def make_best_homogeneous(settings: Settings, peaks: Mapping[ModelKey, Workload]) -> StaticDecider:
    """Return, of every LLM, the cheapest fleet of one variant that carries its peak; others keep no replica.

    With prefill and decode apart it is one variant of each. LLMs are looked at one by one, each under the whole of
    every limit.

    Raises
    ------
    InvalidInput
        When no variant alone carries the peak of an LLM.
    """
    replicas: dict[VariantKey, int] = {}
    for model in settings.models:
        peak = peaks.get(model.key)
        ways = [tuple((variant,) for variant in chosen) for way in _list_ways(model) for chosen in product(*way)]
        plans = (_solve([_pose(model, way, peak, settings, has_others=False)], settings) for way in ways)
        whole = [found for found in plans if _is_whole(found)]
        if not whole:
            raise InvalidInput(f"peaks[{model.model_id}]", "within what one variant alone can carry", peak)
        best = min(whole, key=lambda found: (_compute_price(found), sorted(_count(found))))
        replicas |= {variant.key(variant.main_role): 0 for variant in model.variants} | _count(best)
    return StaticDecider(replicas)


# --- Ways to serve an LLM ---------------------------------------------------------------------------------------------
def _list_ways(model: ServedModel) -> list[Way]:
    """Return the ways to serve `model`: whole requests, and prefill apart from decode; none where a role is missing."""
    whole, prefill, decode = (
        tuple(variant for variant in model.variants if variant.main_role is role)
        for role in (Role.BOTH, Role.PREFILL, Role.DECODE)
    )
    return ([(whole,)] if whole else []) + ([(prefill, decode)] if prefill and decode else [])


def _choose_way(model: ServedModel, peak: Workload | None, settings: Settings) -> Way:
    """Return the cheapest way to carry `peak`, each under the whole of every limit; the first where none carries it."""
    ways = _list_ways(model)
    if len(ways) < 2:
        return ways[0] if ways else ()
    plans = [_solve([_pose(model, way, peak, settings)], settings) for way in ways]
    prices = [_compute_price(found) if _is_whole(found) else math.inf for found in plans]
    return ways[prices.index(min(prices))]


# --- Programs ---------------------------------------------------------------------------------------------------------
def _pose(model: ServedModel, way: Way, peak: Workload | None, settings: Settings, *, has_others: bool = True) -> Posed:
    """Return how many replicas of each pool of `way` carry `peak`; other variants keep to their bounds or are left out.

    The least replicas of an LLM hold for each of its pools up to one, so that none of them is empty.
    """
    capacities_per_s = {} if peak is None else compute_capacities_per_s(model, peak)
    need = Need() if peak is None else Need((NeedEntry(0.0, peak.arrival_rate_per_s),))
    others = [variant for variant in model.variants if has_others and not any(variant in pool for pool in way)]
    problems = []
    for number, pool in enumerate(way or ((),)):
        lines = [_draw(variant, capacities_per_s, settings) for variant in pool]
        lines += [_draw(variant, {}, settings) for variant in others if number == 0]
        least = model.min_replicas if len(way) < 2 else min(model.min_replicas, 1)
        key = ModelKey(model.namespace, f"{model.model_id} {number}")
        problems.append(ModelProblem(key, tuple(lines), need, model.routing, least))
    return tuple(problems), _limit_together(model, problems)


def _limit_together(model: ServedModel, problems: Iterable[ModelProblem]) -> tuple[Limit, ...]:
    """Return the upper bound over all variants of `model`; their lower bounds win."""
    if model.max_replicas is None:
        return ()
    lines = [line for problem in problems for line in problem.lines]
    most = max(model.max_replicas, sum(line.min_replicas for line in lines))
    name = f"replicas of {model.namespace}/{model.model_id}"
    return (Limit(name, LimitKind.ACCELERATORS, {line.key: 1.0 for line in lines}, most),)


def _draw(variant: Variant, capacities_per_s: Mapping[VariantKey, float], settings: Settings) -> VariantLine:
    key = variant.key(variant.main_role)
    return VariantLine(
        key=key,
        capacity_per_s=capacities_per_s.get(key, 0.0) * settings.decision.utilization_ceiling_ratio,
        cost_per_hour=settings.get_replica_cost_per_hour(variant),
        min_replicas=variant.min_replicas,
        max_replicas=variant.max_replicas,
    )


def _solve(posed: Iterable[Posed], settings: Settings) -> tuple[Plan, ...]:
    pairs = tuple(posed)
    problems = tuple(problem for found, _ in pairs for problem in found)
    limits = tuple(limit for _, found in pairs for limit in found)
    return solve_fleet(problems, (*settings.limits, *limits), settings.decision)


def _is_whole(plans: tuple[Plan, ...]) -> bool:
    """Whether the plans of all pools carry what is asked."""
    return all(plan.status in _WHOLE for plan in plans)


def _compute_price(plans: tuple[Plan, ...]) -> float:
    return math.fsum(plan.cost_per_hour for plan in plans)


def _count(plans: tuple[Plan, ...]) -> dict[VariantKey, int]:
    return {line.key: line.replicas for plan in plans for line in plan.allocations}
