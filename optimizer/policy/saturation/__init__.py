"""Scaling on saturation of KV cache and queue, as a peer does it: two analyzers, and the choice of the variant."""

from optimizer.policy.saturation.cost_aware import PricedVariant, choose_replicas
from optimizer.policy.saturation.cycle import SaturationCall, SaturationLine, SaturationMemory, step_cycle
from optimizer.policy.saturation.enforcer import enforce_zero
from optimizer.policy.saturation.limiter import Grant, GrowthAsk, limit_growth
from optimizer.policy.saturation.options import SaturationOptions, SaturationVersion, decode_options
from optimizer.policy.saturation.percentage_analyzer import (
    PercentageAnalysis,
    PercentageSettings,
    PercentageVariant,
    ReplicaLoad,
    analyze_percentages,
)
from optimizer.policy.saturation.policy import SaturationPolicy
from optimizer.policy.saturation.readings import list_length_signals
from optimizer.policy.saturation.token_analyzer import (
    GatewayQueue,
    TokenAnalysis,
    TokenReading,
    TokenSettings,
    TokenState,
    TokenVariant,
    remember_engine,
    step_tokens,
)
from optimizer.policy.saturation.token_capacity import (
    CapacityRecord,
    EngineArguments,
    LearnedFrom,
    derive_compute_capacity_tokens,
    get_token_budget,
    to_record,
)

__all__ = [
    "CapacityRecord",
    "EngineArguments",
    "GatewayQueue",
    "Grant",
    "GrowthAsk",
    "LearnedFrom",
    "PercentageAnalysis",
    "PercentageSettings",
    "PercentageVariant",
    "PricedVariant",
    "ReplicaLoad",
    "SaturationCall",
    "SaturationLine",
    "SaturationMemory",
    "SaturationOptions",
    "SaturationPolicy",
    "SaturationVersion",
    "TokenAnalysis",
    "TokenReading",
    "TokenSettings",
    "TokenState",
    "TokenVariant",
    "analyze_percentages",
    "choose_replicas",
    "decode_options",
    "derive_compute_capacity_tokens",
    "enforce_zero",
    "get_token_budget",
    "limit_growth",
    "list_length_signals",
    "remember_engine",
    "step_cycle",
    "step_tokens",
    "to_record",
]
