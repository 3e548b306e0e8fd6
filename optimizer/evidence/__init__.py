"""What a homogeneous, a static or another fleet would have cost for the same demand. It publishes nothing."""

from optimizer.evidence.comparison import Baseline, ModelEvidence, gather_evidence, replay_like_for_like
from optimizer.evidence.hindsight import (
    compute_homogeneous_costs,
    compute_mix_cost,
    compute_mix_cost_per_hour,
    compute_static_peak_costs,
)
from optimizer.evidence.record import DemandRecord, DemandStep, check_record, compute_capacity_per_s
from optimizer.evidence.replay import Bill, ReplayOptions, replay

__all__ = [
    "Baseline",
    "Bill",
    "DemandRecord",
    "DemandStep",
    "ModelEvidence",
    "ReplayOptions",
    "check_record",
    "compute_capacity_per_s",
    "compute_homogeneous_costs",
    "compute_mix_cost",
    "compute_mix_cost_per_hour",
    "compute_static_peak_costs",
    "gather_evidence",
    "replay",
    "replay_like_for_like",
]
