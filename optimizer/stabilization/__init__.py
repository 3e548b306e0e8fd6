"""What survives of a plan: calm window, price of switching, order of steps. It forecasts and solves nothing."""

from optimizer.stabilization.calm import CalmBin, NeedCell, StabilizationState, calm_need, calm_replicas
from optimizer.stabilization.composition import is_switch, is_worth_switching
from optimizer.stabilization.preference import Offer, find_preferred
from optimizer.stabilization.room import fit_to_limits
from optimizer.stabilization.sequencing import (
    TOLERANCE_RATIO,
    Standing,
    Step,
    compute_capacity_per_s,
    sequence_steps,
)

__all__ = [
    "TOLERANCE_RATIO",
    "CalmBin",
    "NeedCell",
    "Offer",
    "StabilizationState",
    "Standing",
    "Step",
    "calm_need",
    "calm_replicas",
    "compute_capacity_per_s",
    "find_preferred",
    "fit_to_limits",
    "is_switch",
    "is_worth_switching",
    "sequence_steps",
]
