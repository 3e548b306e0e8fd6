"""What one token engine can hold. Data and its bounds."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """What one engine can hold.

    Attributes
    ----------
    kv_capacity_tokens, block_tokens
        Size of the KV cache and of one of its blocks [tokens].
    max_running_requests
        Most requests in the batch.
    max_batched_tokens
        Tokens one iteration computes at most, decode and prompt together, >= `max_running_requests`.
    max_queued_requests
        Requests, batch and queue together, at which new ones are refused; None means never. It counts as vLLM's
        ``--max-num-queued-reqs`` does.
    """

    kv_capacity_tokens: int
    block_tokens: int = 16
    max_running_requests: int = 256
    max_batched_tokens: int = 2048
    max_queued_requests: int | None = None

    @property
    def max_request_tokens(self) -> int:
        """Longest prompt plus output that fits: all blocks but the one that is kept back [tokens]."""
        return (self.kv_capacity_tokens // self.block_tokens - 1) * self.block_tokens

    def __post_init__(self) -> None:
        """Raise InvalidInput where a bound is broken."""
        if self.max_running_requests < 1:
            raise InvalidInput("max_running_requests", ">= 1", self.max_running_requests)
        if self.max_batched_tokens < self.max_running_requests:
            bound = f">= max_running_requests ({self.max_running_requests}) [tokens]"
            raise InvalidInput("max_batched_tokens", bound, self.max_batched_tokens)
        if self.max_queued_requests is not None and self.max_queued_requests < 1:
            raise InvalidInput("max_queued_requests", ">= 1 or None", self.max_queued_requests)
