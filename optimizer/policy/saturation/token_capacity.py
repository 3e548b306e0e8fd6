"""Saturation V2: how many KV tokens a replica can hold, from what its engine was started with. No state, no signal.

    k2 = floor(n (I + O / 2)),   n = min(B O / (I + O), S)      B token budget of a step, S most sequences

Source: llm-d workload-variant-autoscaler b08b1c7 (2026-02-19), capacity store and engine-argument parser.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from optimizer.domain import Variant

USUAL_SEQUENCES = 256
_BUDGET_TOKENS = 8192
_SHORT_BUDGET_TOKENS = 2048


class LearnedFrom(StrEnum):
    """Where a stored capacity comes from."""

    LIVE = "live"
    DEPLOYMENT = "deployment"


@dataclass(frozen=True, slots=True)
class EngineArguments:
    """What an engine was started with, as far as capacity depends on it.

    Attributes
    ----------
    max_batched_tokens
        B: token budget of one step.
    max_running_requests
        S: most sequences at once.
    memory_ratio
        Share of the accelerator's memory that the engine takes [0-1].
    block_tokens
        Tokens in one block of the KV cache.
    kv_cache_dtype, tensor_parallel
        Number format of the KV cache, and degree of tensor parallelism.
    blocks_override
        Blocks set by hand; 0 means that the engine counts them.
    """

    max_batched_tokens: int
    max_running_requests: int = USUAL_SEQUENCES
    memory_ratio: float = 0.9
    block_tokens: int = 16
    kv_cache_dtype: str = "auto"
    tensor_parallel: int = 1
    blocks_override: int = 0


@dataclass(frozen=True, slots=True)
class CapacityRecord:
    """What is remembered of the capacity of one variant.

    Attributes
    ----------
    accelerator, accelerators_per_replica
        What it runs on.
    capacity_tokens
        Effective capacity of a replica.
    kv_capacity_tokens
        Tokens that its KV cache holds, 0 when not known.
    engine
        Its arguments, None when not known.
    learned_from
        Whether a replica said so, or only the arguments.
    """

    accelerator: str
    accelerators_per_replica: int
    capacity_tokens: float
    kv_capacity_tokens: float
    engine: EngineArguments | None
    learned_from: LearnedFrom

    def is_compatible_with(self, other: CapacityRecord) -> bool:
        """Whether both have the same hardware and the same engine, the number of sequences aside."""
        if self.engine is None or other.engine is None:
            return False
        return (self.accelerator, self.accelerators_per_replica) == (
            other.accelerator,
            other.accelerators_per_replica,
        ) and _get_traits(self.engine) == _get_traits(other.engine)


def _get_traits(engine: EngineArguments) -> tuple[object, ...]:
    return (
        engine.max_batched_tokens,
        engine.memory_ratio,
        engine.block_tokens,
        engine.kv_cache_dtype,
        engine.tensor_parallel,
        engine.blocks_override,
    )


def to_record(variant: Variant) -> CapacityRecord:
    """Return what is known of a variant before a replica of it reported: its hardware and its engine's arguments."""
    budget_tokens = get_token_budget(variant.max_batched_tokens)
    engine = EngineArguments(budget_tokens, variant.max_running_requests, tensor_parallel=variant.parallelism.tensor)
    hardware = (variant.accelerator, variant.accelerators_per_replica)
    return CapacityRecord(*hardware, float(budget_tokens), 0.0, engine, LearnedFrom.DEPLOYMENT)


def derive_compute_capacity_tokens(engine: EngineArguments, input_tokens: float, output_tokens: float) -> int:
    """Return k2 for mean lengths `input_tokens` and `output_tokens` [tokens]; 0 without output."""
    if output_tokens <= 0.0:
        return 0
    sequences = min(
        engine.max_batched_tokens * output_tokens / (input_tokens + output_tokens), engine.max_running_requests
    )
    return math.floor(sequences * (input_tokens + output_tokens / 2.0))


def get_token_budget(
    explicit_tokens: int | None = None,
    *,
    is_v1: bool = True,
    has_chunked_prefill: bool = False,
    max_model_tokens: int = 0,
) -> int:
    """Return the token budget of one step of vLLM [tokens]: as set, else the default of its engine generation."""
    if explicit_tokens:
        return explicit_tokens
    if is_v1:
        return _BUDGET_TOKENS
    return _SHORT_BUDGET_TOKENS if has_chunked_prefill else max(max_model_tokens, _SHORT_BUDGET_TOKENS)
