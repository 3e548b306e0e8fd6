"""Kthena in a simulated cluster: every LLM by itself, its variants as one group or its roles in proportion, at once.

The signal is that of its guide, 10 waiting requests a pod, or running and waiting ones where `targets` say how many a
replica carries. Quirks are kept: the pods of a variant are **added up to one report**, and the pod whose page cannot be
had, that goes away or ever restarted takes the report of its whole variant along; a group remembers what was corrected
as recommended. One role that does not tell stops both. It sees pages, never the truth.

Source
------
Kthena's autoscaler at 3cc057284c34 (2026-08-21): a period of 15 s, the webhook's behavior, an expansion of 200 %, costs
as whole hundredths. The target of 10 is that of its guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from optimizer.domain import (
    Accelerator,
    ModelKey,
    PodKey,
    PodPhase,
    PodState,
    Role,
    ServedModel,
    Settings,
    SignalSpec,
    VariantKey,
)
from optimizer.policy.kthena.behavior import Behavior
from optimizer.policy.kthena.blocks import GroupTarget, distribute
from optimizer.policy.kthena.correct import Memory, make_memory
from optimizer.policy.kthena.ratio import RatioRule, repair_ratio
from optimizer.policy.kthena.recommend import MetricReports, MetricRule
from optimizer.policy.kthena.step import Cycle, step_peer
from optimizer.simulation.decider import ScraperView
from optimizer.simulation.deciders.pools import Pool, iterate_pools

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
    """
    return KthenaDecider(Settings(models, accelerators), targets or {}, shipped or KthenaShipped())


class KthenaDecider:
    """See the module."""

    def __init__(self, settings: Settings, targets: Mapping[VariantKey, float], shipped: KthenaShipped) -> None:
        self._settings, self._targets, self._shipped = settings, dict(targets), shipped
        self._memories: dict[tuple[ModelKey, Role], Memory] = {}
        self._starts_s: dict[PodKey, float] = {}
        self._restarted: set[PodKey] = set()

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
        self._watch_restarts(view)
        answers: dict[VariantKey, int] = {}
        for model in self._settings.models:
            answers |= self._step_model(model, view)
        return answers

    def _watch_restarts(self, view: ScraperView) -> None:
        """Note the pods whose server began anew; pods that are gone are forgotten."""
        starts_s = dict[PodKey, float]()
        for reading in (entry for readings in view.readings.values() for entry in readings):
            if reading.start_s is None:
                continue
            starts_s[reading.pod] = reading.start_s
            if reading.start_s > self._starts_s.get(reading.pod, reading.start_s):
                self._restarted.add(reading.pod)
        self._restarted &= starts_s.keys()
        self._starts_s = starts_s

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
        known = [self._targets[pool.key] for pool in group.pools if pool.key in self._targets]
        target = min(known) if known else self._shipped.waiting_target_requests
        rule = MetricRule({_METRIC: target}, *group.bounds, self._shipped.tolerance_ratio)
        seen = MetricReports(
            current_replicas=sum(pool.requested_replicas for pool in group.pools),
            unready_replicas=sum(pod.phase is PodPhase.STARTING for pool in group.pools for pod in pool.state.pods),
            reports=tuple(self._report(pool, is_in_flight=bool(known)) for pool in group.pools),
        )
        behavior = self._shipped.behavior
        return step_peer(memory, seen, now_s, rule, behavior, is_heterogeneous=len(group.pools) > 1)

    def _report(self, pool: Pool, is_in_flight: bool) -> dict[str, float]:
        """Return the sum over the pods of a variant; nothing when there are none, or one of them spoils it."""
        values = [self._read(pod, is_in_flight) for pod in pool.state.pods if pod.phase is not PodPhase.STARTING]
        known = [value for value in values if value is not None]
        return {_METRIC: sum(known)} if known and len(known) == len(values) else {}

    def _read(self, pod: PodState, is_in_flight: bool) -> float | None:
        if pod.phase is not PodPhase.READY or pod.reason is not None or pod.pod in self._restarted:
            return None
        if pod.waiting_requests is None or (is_in_flight and pod.running_requests is None):
            return None
        return pod.waiting_requests + ((pod.running_requests or 0.0) if is_in_flight else 0.0)

    def _repair(self, totals: dict[Role, int], groups: Mapping[Role, _Group]) -> dict[Role, int]:
        """Return the totals with prefill and decode in proportion, after all limits, as the peer does it."""
        rule = self._shipped.ratio
        if rule is None or not {Role.PREFILL, Role.DECODE} <= totals.keys():
            return totals
        bounds = [groups[role].bounds for role in (Role.PREFILL, Role.DECODE)]
        prefill, decode, _ = repair_ratio(totals[Role.PREFILL], totals[Role.DECODE], bounds[0], bounds[1], rule)
        return {**totals, Role.PREFILL: prefill, Role.DECODE: decode}


@dataclass(frozen=True, slots=True)
class _Group:
    """Variants that are scaled together, as pools and as the targets of a policy."""

    pools: tuple[Pool, ...]
    targets: tuple[GroupTarget, ...]

    @property
    def bounds(self) -> tuple[int, int]:
        """Least and most replicas of all of them."""
        return sum(entry.min_replicas for entry in self.targets), sum(entry.max_replicas for entry in self.targets)
