"""The pure half: same input, same output. No I/O, clock, logging, environment or global randomness.

This façade is what the adapter may use of it, beside the data in `optimizer.domain` and the engines in
`optimizer.simulation`.
"""

from optimizer.decide import Outcome, decide
from optimizer.demand import (
    SignalHistory,
    TrafficHistory,
    choose_baseline,
    compute_attained_ratio,
    compute_quantile,
    compute_signals,
    compute_window,
    empty_reading,
    estimate_lengths,
    merge_windows,
    track_signals,
    track_traffic,
)
from optimizer.domain import Settings
from optimizer.errors import InvalidInput
from optimizer.evidence import (
    Baseline,
    Bill,
    DemandRecord,
    DemandStep,
    ModelEvidence,
    ReplayOptions,
    compute_mix_cost,
    gather_evidence,
    replay,
)
from optimizer.policy import (
    BUILT_IN_POLICIES,
    CapacityNeed,
    FixedReplicas,
    InvalidOptions,
    ModelView,
    OptionReader,
    OptionsChecker,
    Policy,
    PolicyState,
    Proposal,
    SignalReader,
    VariantView,
)
from optimizer.queueing import CapacityEstimate, estimate_capacity
from optimizer.routing import InstanceAwareLeastLoad, LeastLoad, RoundRobin, RoutingRule
from optimizer.state import State, decode_state, encode_state, recall_decisions

__all__ = [
    "BUILT_IN_POLICIES",
    "Baseline",
    "Bill",
    "CapacityEstimate",
    "CapacityNeed",
    "DemandRecord",
    "DemandStep",
    "FixedReplicas",
    "InstanceAwareLeastLoad",
    "InvalidInput",
    "InvalidOptions",
    "LeastLoad",
    "ModelEvidence",
    "ModelView",
    "OptionReader",
    "OptionsChecker",
    "Outcome",
    "Policy",
    "PolicyState",
    "Proposal",
    "ReplayOptions",
    "RoundRobin",
    "RoutingRule",
    "Settings",
    "SignalHistory",
    "SignalReader",
    "State",
    "TrafficHistory",
    "VariantView",
    "choose_baseline",
    "compute_attained_ratio",
    "compute_mix_cost",
    "compute_quantile",
    "compute_signals",
    "compute_window",
    "decide",
    "decode_state",
    "empty_reading",
    "encode_state",
    "estimate_capacity",
    "estimate_lengths",
    "gather_evidence",
    "merge_windows",
    "recall_decisions",
    "replay",
    "track_signals",
    "track_traffic",
]
