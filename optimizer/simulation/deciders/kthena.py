"""Kthena in a simulated cluster: every LLM by itself, its variants as one group or its roles in proportion, at once.

The signal is that of its guide, 10 waiting requests a pod, or running and waiting ones where `targets` say how many a
replica carries, or the P95 of a histogram where one is given. Quirks are kept: the pods of a variant are **added up to
one report**, which one pod can spoil; a group remembers what was corrected as recommended. One role that does not tell
stops both. It sees pages, never the truth.

Source
------
Kthena's autoscaler at 3cc057284c34 (2026-08-21): a period of 15 s, the webhook's behavior, an expansion of 200 %, costs
as whole hundredths. The target of 10 is that of its guide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from optimizer.domain import (
    Accelerator,
    ModelKey,
    PodPhase,
    Role,
    ServedModel,
    Settings,
    SignalSpec,
    VariantKey,
)
from optimizer.errors import InvalidInput
from optimizer.policy.kthena.admission import PeerPolicy, PeerRatio, PeerTarget, find_peer_problems
from optimizer.policy.kthena.behavior import Behavior, RateLimit
from optimizer.policy.kthena.blocks import GroupTarget, distribute
from optimizer.policy.kthena.correct import Memory, make_memory
from optimizer.policy.kthena.ratio import RatioRule, repair_ratio
from optimizer.policy.kthena.recommend import MetricReports, MetricRule
from optimizer.policy.kthena.step import Cycle, step_peer
from optimizer.simulation.decider import ScraperView
from optimizer.simulation.deciders.kthena_reports import PodReader, QuantileTarget
from optimizer.simulation.deciders.pools import MOST_REPLICAS, Pool, iterate_pools

_METRIC = "requests"


@dataclass(frozen=True, slots=True)
class KthenaShipped:
    """What the peer comes with.

    Attributes
    ----------
    period_s
        Time between two cycles [s].
    waiting_target_requests
        Waiting requests a pod is to have.
    quantile
        A histogram to scale by instead, None for none.
    tolerance_ratio
        Distance from the target that is none [0-1].
    behavior
        Rate limits, windows, panic: those that the webhook fills in where a policy names none, without panic.
    cost_expansion_percent
        Growth of the blocks of a group [%].
    ratio
        Prefill over decode replicas, None for no proportion.
    """

    period_s: float = 15.0
    waiting_target_requests: float = 10.0
    quantile: QuantileTarget | None = None
    tolerance_ratio: float = 0.1
    behavior: Behavior = field(default_factory=Behavior)
    cost_expansion_percent: float = 200.0
    ratio: RatioRule | None = None


def make_kthena(
    models: tuple[ServedModel, ...],
    accelerators: tuple[Accelerator, ...] = (),
    targets: Mapping[VariantKey, float] | None = None,
    shipped: KthenaShipped | None = None,
) -> KthenaDecider:
    """Return the scaler with the peer's defaults.

    `targets` are the running and waiting requests that a replica carries, by variant; a group has one target, the least
    of its variants. Without them it goes by waiting requests alone. `accelerators` give the prices.

    Raises
    ------
    InvalidInput
        When the peer's webhook would refuse what it is told.
    """
    return KthenaDecider(Settings(models, accelerators), targets or {}, shipped or KthenaShipped())


class KthenaDecider:
    """See the module."""

    def __init__(self, settings: Settings, targets: Mapping[VariantKey, float], shipped: KthenaShipped) -> None:
        self._settings, self._targets, self._shipped = settings, dict(targets), shipped
        self._memories: dict[tuple[ModelKey, Role], Memory] = {}
        self._reader = PodReader(shipped.quantile)
        for model in settings.models:
            self._check(model)

    @property
    def period_s(self) -> float:
        """Time between two cycles [s]."""
        return self._shipped.period_s

    @property
    def signals(self) -> Mapping[ModelKey, tuple[SignalSpec, ...]]:
        """None: the usual figures do."""
        return {}

    def step(self, view: ScraperView) -> Mapping[VariantKey, int]:
        """Return the replicas of every variant; those of an LLM whose cycle is skipped are absent. See `Decider`."""
        self._reader.watch(view)
        answers: dict[VariantKey, int] = {}
        for model in self._settings.models:
            answers |= self._step_model(model, view)
        return answers

    def _step_model(self, model: ServedModel, view: ScraperView) -> dict[VariantKey, int]:
        by_role: dict[Role, list[Pool]] = {}
        for pool in iterate_pools((model,), view):
            by_role.setdefault(pool.key.role, []).append(pool)
        groups = {role: self._form_group(model, pools) for role, pools in by_role.items()}
        cycles: dict[Role, tuple[Cycle, Memory]] = {}
        for role, group in groups.items():
            memory = self._memories.get((model.key, role)) or make_memory(self._shipped.behavior)
            cycles[role] = self._step_group(group, memory, view.now_s)
        if any(cycle.recommended_replicas is None for cycle, _ in cycles.values()):
            return {}
        self._memories |= {(model.key, role): memory for role, (_, memory) in cycles.items()}
        totals = self._repair({role: cycle.corrected_replicas for role, (cycle, _) in cycles.items()}, groups)
        answers: dict[VariantKey, int] = {}
        for role, group in groups.items():
            spread = distribute(totals[role], group.targets, self._shipped.cost_expansion_percent)
            answers |= {pool.key: spread[pool.key.variant] for pool in group.pools}
        return answers

    def _form_group(self, model: ServedModel, pools: list[Pool]) -> _Group:
        variants = {variant.name: variant for variant in model.variants}
        costs = {
            name: round(100.0 * self._settings.get_replica_cost_per_hour(variants[name]))
            for name in (pool.key.variant for pool in pools)
        }
        least = {pool.key.variant: min(variants[pool.key.variant].min_replicas, pool.max_replicas) for pool in pools}
        if not any(least.values()):  # somebody must report: one of the cheapest stays
            first = min(pools, key=lambda pool: costs[pool.key.variant])
            least[first.key.variant] = first.min_replicas
        targets = tuple(
            GroupTarget(name, costs[name], least[name], pool.max_replicas)
            for pool in pools
            for name in (pool.key.variant,)
        )
        return _Group(tuple(pools), targets)

    def _step_group(self, group: _Group, memory: Memory, now_s: float) -> tuple[Cycle, Memory]:
        target, is_in_flight = self._find_target([pool.key for pool in group.pools])
        reports = [self._reader.report(pool, is_in_flight=is_in_flight) for pool in group.pools]
        rule = MetricRule({_METRIC: target}, *group.bounds, self._shipped.tolerance_ratio)
        seen = MetricReports(
            current_replicas=sum(pool.requested_replicas for pool in group.pools),
            unready_replicas=sum(pod.phase is PodPhase.STARTING for pool in group.pools for pod in pool.state.pods),
            reports=tuple({} if value is None else {_METRIC: value} for value in reports),
        )
        behavior = self._shipped.behavior
        return step_peer(memory, seen, now_s, rule, behavior, is_heterogeneous=len(group.pools) > 1)

    def _find_target(self, keys: Iterable[VariantKey]) -> tuple[float, bool]:
        """Return the target per replica, and whether it is of running requests too."""
        known = [self._targets[key] for key in keys if key in self._targets]
        if self._shipped.quantile is not None:
            return self._shipped.quantile.target, False
        return (min(known), True) if known else (self._shipped.waiting_target_requests, False)

    def _check(self, model: ServedModel) -> None:
        """Check what the peer would be told of one LLM.

        Raises
        ------
        InvalidInput
            When its webhook would refuse it: it names everything.
        """
        shipped, behavior = self._shipped, self._shipped.behavior
        roles = {variant.main_role for variant in model.variants}
        kind = "disaggregated" if len(roles) > 1 else "heterogeneous" if len(model.variants) > 1 else "homogeneous"
        target, _ = self._find_target(variant.key(variant.main_role) for variant in model.variants)
        costs = (self._settings.get_replica_cost_per_hour(variant) for variant in model.variants)
        told = PeerPolicy(
            (kind,),
            tuple(
                PeerTarget(one.name, cost=round(100 * cost)) for one, cost in zip(model.variants, costs, strict=True)
            ),
            ((_METRIC, target),),
            round(100 * shipped.tolerance_ratio),
            behavior.panic.threshold_percent,
            (*_list_periods_s(behavior.scale_up), *_list_periods_s(behavior.scale_down), behavior.panic.period_s),
            ratio=None if shipped.ratio is None else _find_ratio(model, shipped.ratio),
        )
        problems = find_peer_problems(told)
        if problems:
            raise InvalidInput(f"policy of {model.model_id}", f"such that {', '.join(problems)}", told)

    def _repair(self, totals: dict[Role, int], groups: Mapping[Role, _Group]) -> dict[Role, int]:
        """Return the totals with prefill and decode in proportion, after all limits, as the peer does it."""
        rule = self._shipped.ratio
        if rule is None or not {Role.PREFILL, Role.DECODE} <= totals.keys():
            return totals
        bounds = [groups[role].bounds for role in (Role.PREFILL, Role.DECODE)]
        prefill, decode, _ = repair_ratio(totals[Role.PREFILL], totals[Role.DECODE], bounds[0], bounds[1], rule)
        return {**totals, Role.PREFILL: prefill, Role.DECODE: decode}


def _list_periods_s(limit: RateLimit) -> tuple[float, float]:
    return limit.period_s, limit.stabilization_s


def _find_ratio(model: ServedModel, rule: RatioRule) -> PeerRatio | None:
    """Return the proportion of both roles with their bounds; None where an LLM does not have them."""
    bounds: dict[Role, tuple[int, int]] = {}
    for variant in model.variants:
        least, most = bounds.get(variant.main_role, (0, 0))
        own = MOST_REPLICAS if variant.max_replicas is None else variant.max_replicas
        bounds[variant.main_role] = (least + max(variant.min_replicas, 1), most + own)
    if not {Role.PREFILL, Role.DECODE} <= bounds.keys():
        return None
    roles = (Role.PREFILL.value, Role.DECODE.value)
    return PeerRatio(*roles, rule.min_ratio, rule.max_ratio, bounds[Role.PREFILL], bounds[Role.DECODE])


@dataclass(frozen=True, slots=True)
class _Group:
    """Variants that are scaled together, as pools and as the targets of a policy."""

    pools: tuple[Pool, ...]
    targets: tuple[GroupTarget, ...]

    @property
    def bounds(self) -> tuple[int, int]:
        """Least and most replicas of all of them."""
        return sum(entry.min_replicas for entry in self.targets), sum(entry.max_replicas for entry in self.targets)
