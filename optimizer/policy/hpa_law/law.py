"""The law of Kubernetes' horizontal pod autoscaler for external metrics, as a step function with state.

It reads no clock and fetches no metric: the caller hands over the time, the replicas and what the metrics answered.

Formula (u sum of the values, T target, c spec, s status, r ready replicas, band ``1 - down <= x <= 1 + up``)::

    AverageValue   x = u / (T s)   proposal = s if x in the band, else ceil(u / T)
    Value          x = u / T       proposal = c if x in the band, else ceil(x r);  from zero ceil(x)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from optimizer.errors import InvalidInput
from optimizer.policy.hpa_law.behavior import (
    DEFAULT_TOLERANCE_RATIO,
    Behavior,
    Proposal,
    Step,
    get_longest_window_s,
    keep_recent,
    limit_step,
    stabilize,
)

MOST_REPLICAS = 2**31 - 1


class TargetType(StrEnum):
    """How a metric relates to replicas."""

    AVERAGE_VALUE = "AverageValue"
    VALUE = "Value"


@dataclass(frozen=True, slots=True)
class MetricTarget:
    """The target of one external metric; `amount_milli` is a thousandth of its unit, > 0."""

    type: TargetType = TargetType.AVERAGE_VALUE
    amount_milli: int = 1000

    def __post_init__(self) -> None:
        """Check the bound.

        Raises
        ------
        InvalidInput
            When the amount is not positive.
        """
        if self.amount_milli <= 0:
            raise InvalidInput("target.amount_milli", "> 0 [1/1000]", self.amount_milli)


@dataclass(frozen=True, slots=True)
class HpaSpec:
    """A HorizontalPodAutoscaler.

    Attributes
    ----------
    min_replicas, max_replicas
        Bounds [replicas]; zero as a minimum lets the metric put the workload to zero and wake it.
    targets
        One per external metric, at least one.
    behavior
        Step limits and windows; None means none was written, which has rules of its own.
    tolerance_ratio
        Dead band of the cluster, for directions without their own [0-1].
    wakes_only_own_zero
        The rule of Kubernetes 1.36 and later: zero is left only where the autoscaler itself went there.
    """

    min_replicas: int = 1
    max_replicas: int = 32
    targets: tuple[MetricTarget, ...] = (MetricTarget(),)
    behavior: Behavior | None = None
    tolerance_ratio: float = DEFAULT_TOLERANCE_RATIO
    wakes_only_own_zero: bool = False

    def __post_init__(self) -> None:
        """Check the bounds.

        Raises
        ------
        InvalidInput
            When the bounds cross, or no target is given.
        """
        if not 0 <= self.min_replicas <= self.max_replicas:
            raise InvalidInput("min_replicas", f"0..{self.max_replicas} [replicas]", self.min_replicas)
        if not self.targets:
            raise InvalidInput("targets", "at least one", self.targets)


@dataclass(frozen=True, slots=True)
class HpaState:
    """What is remembered between syncs: recent proposals and steps, and whether it was us who went to zero."""

    proposals: tuple[Proposal, ...] = ()
    steps: tuple[Step, ...] = ()
    scaled_to_zero: bool = False


@dataclass(frozen=True, slots=True)
class ReplicaCounts:
    """Replicas in ``scale.spec``, in ``scale.status``, and pods that are Running and Ready."""

    spec: int
    status: int
    ready: int


class SyncOutcome(StrEnum):
    """Why a sync ended as it did."""

    SCALED = "scaled"  # the count changed, or agrees with what was asked
    DISABLED = "disabled"  # at zero, and not ours to leave
    OUT_OF_BOUNDS = "out_of_bounds"  # moved to the bound without reading a metric
    METRIC_FAILED = "metric_failed"  # held: nothing that may be followed was read


@dataclass(frozen=True, slots=True)
class HpaSync:
    """The answer of one sync: the replicas to request, and the bare proposal, None when no metric was read."""

    replicas: int
    proposal: int | None
    outcome: SyncOutcome


Reading = Sequence[int] | None
"""Values of the series of one metric [1/1000], each rounded up to milli; None when it could not be read."""


def start_hpa(replicas: int, now_s: float) -> HpaState:
    """Return the state of an autoscaler that is new at `now_s` [s]: the present count stands as a first proposal."""
    return HpaState((Proposal(now_s, replicas),))


def propose_replicas(spec: HpaSpec, target: MetricTarget, values_milli: Sequence[int], counts: ReplicaCounts) -> int:
    """Return what one metric asks for, before bounds and damping [replicas].

    A running sum below zero is taken for an overflow and asks for the largest count there is. No values sum to zero.
    """
    total = 0
    for value in values_milli:
        total += value
        if total < 0:
            return MOST_REPLICAS
    if target.type is TargetType.AVERAGE_VALUE:
        if counts.status > 0 and _is_within(spec, total / (target.amount_milli * counts.status)):
            return counts.status
        return min(math.ceil(total / target.amount_milli), MOST_REPLICAS)
    ratio = total / target.amount_milli
    if counts.spec == 0:
        return min(math.ceil(ratio), MOST_REPLICAS)
    return counts.spec if _is_within(spec, ratio) else min(math.ceil(ratio * counts.ready), MOST_REPLICAS)


def step_hpa(
    spec: HpaSpec, state: HpaState, counts: ReplicaCounts, readings: Sequence[Reading], now_s: float
) -> tuple[HpaSync, HpaState]:
    """Run one sync.

    Parameters
    ----------
    spec
        The autoscaler.
    state
        From the sync before.
    counts
        Of the workload, now.
    readings
        One per target of `spec`, in its order.
    now_s
        Time of this sync [s].

    Returns
    -------
    tuple
        The replicas to request, and the next state.

    Source
    ------
    Kubernetes HPA controller, 1.33 and later, for metrics of type External.
    """
    if counts.spec == 0 and not _may_wake(spec, state):
        return HpaSync(0, None, SyncOutcome.DISABLED), state
    if counts.spec > spec.max_replicas or 0 < counts.spec < spec.min_replicas:
        bound = min(max(counts.spec, spec.min_replicas), spec.max_replicas)
        return HpaSync(bound, None, SyncOutcome.OUT_OF_BOUNDS), _remember(spec, state, counts.spec, bound, now_s)
    proposal = _choose_proposal(spec, counts, readings)
    if proposal is None:
        return HpaSync(counts.spec, None, SyncOutcome.METRIC_FAILED), state
    replicas, remembered = damp_proposal(spec, state, counts.spec, proposal, now_s)
    return HpaSync(replicas, proposal, SyncOutcome.SCALED), remembered


def damp_proposal(spec: HpaSpec, state: HpaState, current: int, proposal: int, now_s: float) -> tuple[int, HpaState]:
    """Return what windows, step limits and bounds leave of `proposal` at `now_s` [s], and the next state.

    Parameters
    ----------
    spec
        The autoscaler; its targets are not looked at.
    state
        From the sync before.
    current
        Replicas in ``scale.spec``.
    proposal
        What the metrics ask for [replicas].
    now_s
        Time of this sync [s].

    Source
    ------
    Kubernetes HPA controller: the same for metrics of every type.
    """
    proposals = (*_keep_proposals(spec, state, now_s), Proposal(now_s, proposal))
    stabilized = stabilize(proposals, current, spec.behavior, now_s)
    limited = limit_step(stabilized, current, spec.behavior, state.steps, now_s)
    replicas = min(max(limited, spec.min_replicas), spec.max_replicas)
    return replicas, replace(_remember(spec, state, current, replicas, now_s), proposals=proposals)


def _is_within(spec: HpaSpec, ratio: float) -> bool:
    up, down = (spec.behavior.up, spec.behavior.down) if spec.behavior else (None, None)
    above = spec.tolerance_ratio if up is None or up.tolerance_ratio is None else up.tolerance_ratio
    below = spec.tolerance_ratio if down is None or down.tolerance_ratio is None else down.tolerance_ratio
    return 1.0 - below <= ratio <= 1.0 + above


def _may_wake(spec: HpaSpec, state: HpaState) -> bool:
    return state.scaled_to_zero if spec.wakes_only_own_zero else spec.min_replicas == 0


def _choose_proposal(spec: HpaSpec, counts: ReplicaCounts, readings: Sequence[Reading]) -> int | None:
    if len(readings) != len(spec.targets):
        raise InvalidInput("readings", f"{len(spec.targets)} entries", len(readings))
    found = [
        propose_replicas(spec, target, values, counts)
        for target, values in zip(spec.targets, readings, strict=True)
        if values is not None
    ]
    if not found or (len(found) < len(readings) and max(found) < counts.spec):
        return None
    return max(found)


def _keep_proposals(spec: HpaSpec, state: HpaState, now_s: float) -> tuple[Proposal, ...]:
    oldest_s = now_s - get_longest_window_s(spec.behavior)
    return tuple(proposal for proposal in state.proposals if proposal.time_s > oldest_s)


def _remember(spec: HpaSpec, state: HpaState, before: int, after: int, now_s: float) -> HpaState:
    if after == before:
        return replace(state, steps=keep_recent(spec.behavior, state.steps, now_s))
    steps = keep_recent(spec.behavior, (*state.steps, Step(now_s, after - before)), now_s)
    return replace(state, steps=steps, scaled_to_zero=after == 0)
