"""Decisions: what to run, per variant and per LLM, with every figure that led there. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from optimizer.domain.model import ModelKey, Routing
from optimizer.domain.override import Override
from optimizer.domain.performance import ProfileOrigin
from optimizer.domain.plan import Plan
from optimizer.domain.reason import Observation, Reason
from optimizer.domain.variant import VariantKey, WorkloadRef


class ConditionType(StrEnum):
    """What a condition is about."""

    FRESH = "Fresh"
    FOLLOWING = "Following"
    ROUTING_AS_ASSUMED = "RoutingAsAssumed"
    WITHIN_LIMITS = "WithinLimits"
    SLO_REACHABLE = "SloReachable"


@dataclass(frozen=True, slots=True)
class Condition:
    """True, False or (None) unknown, with the reason."""

    type: ConditionType
    status: bool | None
    reason: Reason


@dataclass(frozen=True, slots=True)
class Hold:
    """A decision to keep what is there, always with a reason."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class VariantDecision:
    """What to run of one variant.

    Attributes
    ----------
    key, workload, accelerator
        Whom it concerns.
    proposed_replicas
        What the plan wants; None when there was no plan.
    planned_replicas
        What survives stabilization and sequencing: the published number.
    requested_replicas, observed_replicas, ready_replicas
        As seen when deciding; `requested_replicas` is None when nobody can tell.
    capacity_per_s
        Of one replica within the SLO for the present workload [1/s], or why it is not known.
    capacity_origin
        Where that comes from; None when not known.
    replica_cost_per_hour
        Price of one replica [currency/h].
    reason
        Why `planned_replicas` is what it is.
    hold
        Set when a change that was proposed is kept back.
    override
        What a person decided instead of us, None when nothing is in force.
    """

    key: VariantKey
    workload: WorkloadRef
    accelerator: str
    proposed_replicas: int | None
    planned_replicas: int
    requested_replicas: int | None
    observed_replicas: int
    ready_replicas: int
    capacity_per_s: Observation
    capacity_origin: ProfileOrigin | None
    replica_cost_per_hour: float
    reason: Reason
    hold: Hold | None = None
    override: Override | None = None


@dataclass(frozen=True, slots=True)
class ModelDecision:
    """What to run for one LLM.

    Attributes
    ----------
    key
        The LLM.
    decided_at_s
        When it was decided [s]; kept while a hold repeats an older decision without data.
    variants
        One line per variant.
    demand_per_s
        Arrivals now [1/s], or why they are not known.
    forecast_per_s
        Highest rate expected over the longest lead time [1/s].
    need_per_s
        Capacity asked for, margin included [1/s]; None when nothing could be decided.
    coverage_ratio
        Share of the forecast demand that the published plan serves within the SLO [0-1]; None when unknown.
    utilization_ratio
        Demand over ready capacity within the SLO; None when either is unknown.
    cost_per_hour
        Of the published plan [currency/h].
    routing
        The routing the plan assumes.
    plan
        The solver's answer; None when none was made.
    reason
        The decision in one sentence.
    conditions
        What holds and what does not.
    """

    key: ModelKey
    decided_at_s: float
    variants: tuple[VariantDecision, ...]
    demand_per_s: Observation
    forecast_per_s: Observation
    need_per_s: float | None
    coverage_ratio: float | None
    utilization_ratio: float | None
    cost_per_hour: float
    routing: Routing
    plan: Plan | None
    reason: Reason
    conditions: tuple[Condition, ...] = ()
