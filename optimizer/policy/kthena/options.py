"""What the policy ``kthena`` can be told: the peer's words in snake case, percentages as ratios. It decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from optimizer.domain import Role, ServedModel, SignalKind, SignalSpec
from optimizer.policy.kthena.behavior import Behavior
from optimizer.policy.kthena.ratio import RatioRule


class TargetKind(StrEnum):
    """What is scaled together."""

    HOMOGENEOUS = "homogeneous"  # every variant alone, by its own pods
    HETEROGENEOUS = "heterogeneous"  # all variants as one group, spread in blocks by cost
    DISAGGREGATED = "disaggregated"  # the variants of each role as one group, the roles in proportion


class CapacitySource(StrEnum):
    """Where the weights of a heterogeneous group come from."""

    EQUAL = "equal"  # a replica is a replica, as the peer has it
    GIVEN = "given"
    MEASURED = "measured"  # the capacity within the SLO


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric with its target.

    Attributes
    ----------
    name
        How the options call it.
    target_metric
        Its target per replica, in its own unit [> 0].
    signals
        What is added up to be its value at a pod.
    """

    name: str
    target_metric: float
    signals: tuple[SignalSpec, ...]

    @property
    def quantile_window_s(self) -> float | None:
        """Over how long a quantile is taken [s]; None when it is none."""
        first = self.signals[0]
        return first.window_s if first.kind is SignalKind.QUANTILE else None


@dataclass(frozen=True, slots=True)
class RatioConstraint:
    """Which roles are kept in proportion, and in which."""

    numerator_role: Role
    denominator_role: Role
    rule: RatioRule


@dataclass(frozen=True, slots=True)
class KthenaOptions:
    """The decoded options.

    Attributes
    ----------
    metrics
        Metrics with targets; the largest count asked for wins.
    role_metrics
        The same for single roles, which then do not take `metrics`.
    target
        What is scaled together; None means by what the LLM is: roles, several variants, or one.
    tolerance_ratio
        Distance from a target that is none [0-1].
    behavior
        Rate limits, stabilization windows, panic (off unless it is given a hold).
    cost_expansion_ratio
        Growth of the blocks of a group; 2 doubles them and interleaves the variants, up to 1 fills the cheapest first.
    capacity_source, capacity_per_s
        Weights of the variants of a group [1/s], by variant where they are given.
    ratio_constraint
        Proportion of two roles, None for none.
    """

    metrics: tuple[Metric, ...] = ()
    role_metrics: Mapping[Role, tuple[Metric, ...]] = field(default_factory=dict)
    target: TargetKind | None = None
    tolerance_ratio: float = 0.1
    behavior: Behavior = field(default_factory=Behavior)
    cost_expansion_ratio: float = 2.0
    capacity_source: CapacitySource = CapacitySource.EQUAL
    capacity_per_s: Mapping[str, float] = field(default_factory=dict)
    ratio_constraint: RatioConstraint | None = None

    def get_target(self, model: ServedModel) -> TargetKind:
        """Return what is scaled together of `model`."""
        if self.target is not None:
            return self.target
        if any(variant.main_role is not Role.BOTH for variant in model.variants):
            return TargetKind.DISAGGREGATED
        return TargetKind.HETEROGENEOUS if len(model.variants) > 1 else TargetKind.HOMOGENEOUS

    def get_metrics(self, role: Role) -> tuple[Metric, ...]:
        """Return the metrics by which `role` is scaled."""
        return self.role_metrics.get(role) or self.metrics

    def list_signals(self) -> tuple[SignalSpec, ...]:
        """Return every signal that any metric is made of."""
        metrics = [*self.metrics, *(metric for group in self.role_metrics.values() for metric in group)]
        return tuple(signal for metric in metrics for signal in metric.signals)
