"""A request while it is inside a token engine. Bookkeeping only; the engine moves it."""

from __future__ import annotations

from optimizer.simulation.request import EndedRequest, EngineRequest, RequestOutcome


class Sequence:
    """A request in the engine.

    Attributes
    ----------
    request
        What was asked.
    cached_tokens
        Prompt tokens that need no computing.
    target_tokens, computed_tokens
        Tokens to compute before it decodes (prompt, and what was generated before a preemption), and those done.
    blocks
        KV blocks held while it does not decode; while it does, the decode batch knows.
    base
        While it decodes, it has generated ``iteration - base`` tokens; None otherwise.
    generated_tokens
        Tokens generated, while it does not decode.
    delivered_tokens
        Tokens reported in events so far.
    preemptions
        How often it was sent back.
    scheduled_s, first_token_s, last_token_s
        First entry into the batch, first token, and the last one before a preemption [s]; None while there is none.
    """

    __slots__ = (
        "base",
        "blocks",
        "cached_tokens",
        "computed_tokens",
        "delivered_tokens",
        "first_token_s",
        "generated_tokens",
        "last_token_s",
        "preemptions",
        "request",
        "scheduled_s",
        "target_tokens",
    )

    def __init__(self, request: EngineRequest) -> None:
        self.request = request
        self.cached_tokens = min(request.cached_tokens, request.input_tokens - 1)
        self.target_tokens = request.input_tokens
        self.computed_tokens = self.cached_tokens
        self.blocks = 0
        self.base: int | None = None
        self.generated_tokens = 0
        self.delivered_tokens = 0
        self.preemptions = 0
        self.scheduled_s: float | None = None
        self.first_token_s: float | None = None
        self.last_token_s: float | None = None

    def restart(self) -> None:
        """Forget what was computed, as its KV blocks are gone; the prefix cache still holds its part."""
        self.target_tokens = self.request.input_tokens + self.generated_tokens
        self.computed_tokens = self.cached_tokens
        self.preemptions += 1

    def to_ended(self, outcome: RequestOutcome, end_s: float) -> EndedRequest:
        """Return the record of its end at `end_s` [s]."""
        return EndedRequest(
            self.request,
            outcome,
            end_s,
            self.generated_tokens,
            self.scheduled_s,
            self.first_token_s,
            self.preemptions,
        )
