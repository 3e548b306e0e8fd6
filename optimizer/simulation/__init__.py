"""Seeded token-level engines and the loops around them, event by event. No I/O, no real time."""

from optimizer.policy.hpa_law import (
    Behavior,
    HpaSpec,
    HpaState,
    HpaSync,
    MetricTarget,
    PolicyType,
    ReplicaCounts,
    ScalingRules,
    SelectPolicy,
    StepPolicy,
    SyncOutcome,
    TargetType,
    propose_replicas,
    step_hpa,
)
from optimizer.simulation.counts import (
    EngineCounters,
    HistogramCounts,
    HistogramEdges,
    StepCounts,
    compute_length_edges_tokens,
)
from optimizer.simulation.engine import TokenEngine
from optimizer.simulation.limits import EngineLimits
from optimizer.simulation.request import EndedRequest, EngineEvent, EngineRequest, EventKind, RequestOutcome
from optimizer.simulation.step_time import NoisyStepTime, StepTime, make_step_time
from optimizer.simulation.steps import Steps

__all__ = [
    "Behavior",
    "EndedRequest",
    "EngineCounters",
    "EngineEvent",
    "EngineLimits",
    "EngineRequest",
    "EventKind",
    "HistogramCounts",
    "HistogramEdges",
    "HpaSpec",
    "HpaState",
    "HpaSync",
    "MetricTarget",
    "NoisyStepTime",
    "PolicyType",
    "ReplicaCounts",
    "RequestOutcome",
    "ScalingRules",
    "SelectPolicy",
    "StepCounts",
    "StepPolicy",
    "StepTime",
    "Steps",
    "SyncOutcome",
    "TargetType",
    "TokenEngine",
    "compute_length_edges_tokens",
    "make_step_time",
    "propose_replicas",
    "step_hpa",
]
