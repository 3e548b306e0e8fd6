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
    Proposal,
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
    damp_proposal,
    propose_replicas,
    start_hpa,
    step_hpa,
)
from optimizer.policy.hpa_law.memory import decode_hpa_state, encode_hpa_state
from optimizer.policy.hpa_law.pods import PodValues, propose_by_pods

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
    "PodValues",
    "PolicyType",
    "Proposal",
    "Reading",
    "ReplicaCounts",
    "ScalingRules",
    "SelectPolicy",
    "Step",
    "StepPolicy",
    "SyncOutcome",
    "TargetType",
    "damp_proposal",
    "decode_hpa_state",
    "encode_hpa_state",
    "propose_by_pods",
    "propose_replicas",
    "start_hpa",
    "step_hpa",
]
