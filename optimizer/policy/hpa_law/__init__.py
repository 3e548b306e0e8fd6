"""The law of Kubernetes' horizontal pod autoscaler, for policies that follow it and for clusters that are simulated.

Arithmetic only: it reads no clock and no metric.
"""

from optimizer.policy.hpa_law.behavior import (
    DEFAULT_DOWN,
    DEFAULT_DOWN_WINDOW_S,
    DEFAULT_TOLERANCE_RATIO,
    DEFAULT_UP,
    Behavior,
    PolicyType,
    ScalingRules,
    SelectPolicy,
    Step,
    StepPolicy,
)
from optimizer.policy.hpa_law.law import (
    HpaSpec,
    HpaState,
    HpaSync,
    MetricTarget,
    Reading,
    ReplicaCounts,
    SyncOutcome,
    TargetType,
    propose_replicas,
    step_hpa,
)

__all__ = [
    "DEFAULT_DOWN",
    "DEFAULT_DOWN_WINDOW_S",
    "DEFAULT_TOLERANCE_RATIO",
    "DEFAULT_UP",
    "Behavior",
    "HpaSpec",
    "HpaState",
    "HpaSync",
    "MetricTarget",
    "PolicyType",
    "Reading",
    "ReplicaCounts",
    "ScalingRules",
    "SelectPolicy",
    "Step",
    "StepPolicy",
    "SyncOutcome",
    "TargetType",
    "propose_replicas",
    "step_hpa",
]
