"""Whole ways to decide, one per file, chosen per LLM by name. They propose; they neither publish nor remember."""

from optimizer.policy.lead_time import compute_lead_time_s
from optimizer.policy.option_problems import InvalidOptions, OptionProblem
from optimizer.policy.options import OptionReader
from optimizer.policy.protocol import (
    CapacityNeed,
    FixedReplicas,
    ModelView,
    OptionsChecker,
    Policy,
    PolicyState,
    Proposal,
    SignalReader,
    VariantView,
)
from optimizer.policy.registry import BUILT_IN_POLICIES
from optimizer.policy.slo import SloPolicy

__all__ = [
    "BUILT_IN_POLICIES",
    "CapacityNeed",
    "FixedReplicas",
    "InvalidOptions",
    "ModelView",
    "OptionProblem",
    "OptionReader",
    "OptionsChecker",
    "Policy",
    "PolicyState",
    "Proposal",
    "SignalReader",
    "SloPolicy",
    "VariantView",
    "compute_lead_time_s",
]
