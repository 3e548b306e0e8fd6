"""How a horizontal pod autoscaler damps its steps: stabilization windows and step limits per period.

Pure arithmetic on past proposals and past steps; it reads no metric and keeps no state of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

DEFAULT_TOLERANCE_RATIO = 0.1
DEFAULT_DOWN_WINDOW_S = 300.0


class PolicyType(StrEnum):
    """What the value of a step policy counts."""

    PODS = "Pods"
    PERCENT = "Percent"


class SelectPolicy(StrEnum):
    """Which of several step policies counts."""

    MAX = "Max"  # the one that allows the larger change
    MIN = "Min"
    DISABLED = "Disabled"  # no step in this direction


@dataclass(frozen=True, slots=True)
class StepPolicy:
    """At most `value` replicas, or percent of the replicas at the start of it, within every `period_s` [s]."""

    type: PolicyType
    value: int
    period_s: float = 15.0


@dataclass(frozen=True, slots=True)
class ScalingRules:
    """The rules of one direction.

    Attributes
    ----------
    policies
        Step limits, at least one unless `select` is ``Disabled``.
    select
        Which of them counts.
    stabilization_window_s
        The most cautious proposal of this span counts [s]; 0 means only the present one.
    tolerance_ratio
        Dead band around the target in this direction [0-1]; None means the cluster's, 0.1.
    """

    policies: tuple[StepPolicy, ...]
    select: SelectPolicy = SelectPolicy.MAX
    stabilization_window_s: float = 0.0
    tolerance_ratio: float | None = None


DEFAULT_UP = ScalingRules((StepPolicy(PolicyType.PODS, 4), StepPolicy(PolicyType.PERCENT, 100)))
DEFAULT_DOWN = ScalingRules((StepPolicy(PolicyType.PERCENT, 100),), stabilization_window_s=DEFAULT_DOWN_WINDOW_S)


@dataclass(frozen=True, slots=True)
class Behavior:
    """``spec.behavior``; a direction left out is completed with the cluster's rules."""

    up: ScalingRules = DEFAULT_UP
    down: ScalingRules = DEFAULT_DOWN


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the metric asked for at one sync, before any damping."""

    time_s: float
    replicas: int


@dataclass(frozen=True, slots=True)
class Step:
    """A change of the replica count; `change` is positive upwards."""

    time_s: float
    change: int


def stabilize(proposals: tuple[Proposal, ...], current: int, behavior: Behavior | None, now_s: float) -> int:
    """Return the proposal that the windows leave.

    Parameters
    ----------
    proposals
        Past proposals, the present one last and always counted.
    current
        Replicas in the spec.
    behavior
        None means no ``spec.behavior``: only a downward window of 300 s.
    now_s
        Time of this sync [s].

    Source
    ------
    Kubernetes HPA controller: the lowest proposal of the upward window bounds from below, the highest of the downward
    window from above, and the current count moves no further than into that range.
    """
    latest = proposals[-1].replicas
    if behavior is None:
        return max([latest, *_within(proposals, now_s, DEFAULT_DOWN_WINDOW_S)])
    lowest = min([latest, *_within(proposals, now_s, behavior.up.stabilization_window_s)])
    highest = max([latest, *_within(proposals, now_s, behavior.down.stabilization_window_s)])
    return min(max(current, lowest), highest)


def limit_step(desired: int, current: int, behavior: Behavior | None, steps: tuple[Step, ...], now_s: float) -> int:
    """Return `desired` cut to what the step limits allow from `current` at `now_s` [s].

    Without a behavior the count at most doubles, to no fewer than 4, and falls freely.
    """
    if behavior is None:
        return min(desired, max(2 * current, 4))
    if desired > current:
        return min(desired, max(current, _compute_upper_limit(current, behavior.up, steps, now_s)))
    if desired < current:
        return max(desired, min(current, _compute_lower_limit(current, behavior.down, steps, now_s)))
    return desired


def keep_recent(behavior: Behavior | None, steps: tuple[Step, ...], now_s: float) -> tuple[Step, ...]:
    """Return the steps that some policy may still look at after `now_s` [s]."""
    if behavior is None:
        return ()
    policies = (*behavior.up.policies, *behavior.down.policies)
    longest_s = max((policy.period_s for policy in policies), default=0.0)
    return tuple(step for step in steps if step.time_s > now_s - longest_s)


def get_longest_window_s(behavior: Behavior | None) -> float:
    """Return how far back a proposal may count [s]."""
    if behavior is None:
        return DEFAULT_DOWN_WINDOW_S
    return max(behavior.up.stabilization_window_s, behavior.down.stabilization_window_s)


def _within(proposals: tuple[Proposal, ...], now_s: float, window_s: float) -> list[int]:
    return [proposal.replicas for proposal in proposals if proposal.time_s > now_s - window_s]


def _compute_upper_limit(current: int, rules: ScalingRules, steps: tuple[Step, ...], now_s: float) -> int:
    if rules.select is SelectPolicy.DISABLED:
        return current
    limits = []
    for policy in rules.policies:
        start = _find_start(current, policy, steps, now_s)
        grown = start + policy.value if policy.type is PolicyType.PODS else math.ceil(start * (1 + policy.value / 100))
        limits.append(grown)
    return max(limits) if rules.select is SelectPolicy.MAX else min(limits)


def _compute_lower_limit(current: int, rules: ScalingRules, steps: tuple[Step, ...], now_s: float) -> int:
    if rules.select is SelectPolicy.DISABLED:
        return current
    limits = []
    for policy in rules.policies:
        start = _find_start(current, policy, steps, now_s)
        shrunk = start - policy.value if policy.type is PolicyType.PODS else int(start * (1 - policy.value / 100))
        limits.append(shrunk)
    return min(limits) if rules.select is SelectPolicy.MAX else max(limits)


def _find_start(current: int, policy: StepPolicy, steps: tuple[Step, ...], now_s: float) -> int:
    return current - sum(step.change for step in steps if step.time_s > now_s - policy.period_s)
