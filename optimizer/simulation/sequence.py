"""A request while it is inside a token engine. Bookkeeping only; the engine moves it."""

from __future__ import annotations

from optimizer.simulation.request import EndedRequest, EngineRequest, RequestOutcome
from optimizer.simulation.ticks import to_s


class Sequence:
    """A request in the engine.

    Attributes
    ----------
    request
        What was asked.
    cached_tokens
        Prompt tokens that the prefix cache holds: they never need computing.
    given_tokens
        Prompt tokens that needed no computing at first, cached or transferred.
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
    scheduled_ns, first_token_ns
        First entry into the batch, first token [ns]; None while there is none.
    last_token_ticks
        When the last token before a preemption came [ticks]; None while it decodes, or before its first token.
    """

    __slots__ = (
        "base",
        "blocks",
        "cached_tokens",
        "computed_tokens",
        "delivered_tokens",
        "first_token_ns",
        "generated_tokens",
        "given_tokens",
        "last_token_ticks",
        "preemptions",
        "request",
        "scheduled_ns",
        "target_tokens",
    )

    def __init__(self, request: EngineRequest) -> None:
        self.request = request
        self.cached_tokens = min(request.cached_tokens, request.input_tokens - 1)
        self.target_tokens = request.input_tokens
        self.given_tokens = min(max(request.cached_tokens, request.transferred_tokens), request.input_tokens - 1)
        self.computed_tokens = self.given_tokens
        self.blocks = 0
        self.base: int | None = None
        self.generated_tokens = 0
        self.delivered_tokens = 0
        self.preemptions = 0
        self.scheduled_ns: int | None = None
        self.first_token_ns: int | None = None
        self.last_token_ticks: int | None = None

    @property
    def uncomputed_tokens(self) -> int:
        """Tokens left to compute before it decodes [tokens]."""
        return self.target_tokens - self.computed_tokens

    def restart(self) -> None:
        """Forget what was computed or transferred, as its KV blocks are gone; the prefix cache still holds its part."""
        self.target_tokens = self.request.input_tokens + self.generated_tokens
        self.computed_tokens = self.cached_tokens
        self.preemptions += 1

    def to_ended(self, outcome: RequestOutcome, end_ns: int) -> EndedRequest:
        """Return the record of its end at `end_ns` [ns]."""
        return EndedRequest(
            self.request,
            outcome,
            to_s(end_ns),
            self.generated_tokens,
            None if self.scheduled_ns is None else to_s(self.scheduled_ns),
            None if self.first_token_ns is None else to_s(self.first_token_ns),
            self.preemptions,
        )
