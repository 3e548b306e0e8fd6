"""How a simulated replica behaves, and what it says about its own lateness. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from optimizer import InvalidInput
from optimizer.domain import IterationLaw, IterationTable

LONGEST_MODEL_TOKENS = 131_072


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How one replica behaves.

    Attributes
    ----------
    model_name
        The LLM as the engine calls it.
    performance
        Iteration times.
    kv_capacity_tokens
        Size of the KV cache [tokens].
    engine, version
        Whose pages it shows, and the version it claims.
    max_running_requests
        Most requests in the batch.
    max_batched_tokens
        Tokens one iteration computes at most, >= `max_running_requests`.
    max_queued_requests
        Requests, batch and queue together, at which new ones are refused with 503; None means never.
    max_model_tokens
        Longest prompt plus output; None means what the KV cache holds, at most 131072.
    block_tokens
        Size of a KV block [tokens].
    cached_ratio
        Share of every prompt found in the prefix cache [0-1].
    mean_output_tokens
        Mean length at which a request that does not ignore the end of text stops by itself, geometrically distributed
        [tokens]; None means that all run to their bound.
    noise_ratio
        Standard deviation of the logarithm of the noise on iteration times, 0 for none.
    seed
        Of noise and lengths.
    """

    model_name: str
    performance: IterationLaw | IterationTable
    kv_capacity_tokens: int
    engine: Literal["vllm", "sglang"] = "vllm"
    version: str = "0.32.0"
    max_running_requests: int = 256
    max_batched_tokens: int = 2048
    max_queued_requests: int | None = None
    max_model_tokens: int | None = None
    block_tokens: int = 16
    cached_ratio: float = 0.0
    mean_output_tokens: float | None = None
    noise_ratio: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise InvalidInput where a bound is broken."""
        if not 0.0 <= self.cached_ratio <= 1.0:
            raise InvalidInput("cached_ratio", "0-1", self.cached_ratio)
        if self.mean_output_tokens is not None and not self.mean_output_tokens >= 1.0:
            raise InvalidInput("mean_output_tokens", ">= 1 [tokens]", self.mean_output_tokens)
        if self.max_model_tokens is not None and not 2 <= self.max_model_tokens <= self.longest_request_tokens:
            raise InvalidInput("max_model_tokens", f"2-{self.longest_request_tokens} [tokens]", self.max_model_tokens)

    @property
    def longest_request_tokens(self) -> int:
        """Tokens that requests can hold together; the engine keeps one block back."""
        return (self.kv_capacity_tokens // self.block_tokens - 1) * self.block_tokens

    @property
    def context_tokens(self) -> int:
        """Longest prompt plus output that is accepted [tokens]."""
        return self.max_model_tokens or min(self.longest_request_tokens, LONGEST_MODEL_TOKENS)


@dataclass(frozen=True, slots=True)
class Lag:
    """How late a server woke since it was last asked.

    Attributes
    ----------
    wakes
        How often it woke.
    mean_s, max_s
        Time of the clock from what was due to the wake [s], 0 without one; over the clock's speed it is wall time.
    """

    wakes: int = 0
    mean_s: float = 0.0
    max_s: float = 0.0
