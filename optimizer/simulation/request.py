"""What goes into a token engine and what comes out: requests, events, records of ended requests. Data only."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class EngineRequest(NamedTuple):
    """One sequence to generate.

    Attributes
    ----------
    request_id
        Unique among the requests in the engine.
    arrival_s
        When it reaches the engine [s].
    input_tokens
        Length of the prompt, >= 1 [tokens].
    output_tokens
        Tokens it will generate, >= 1 [tokens].
    cached_tokens
        Part of the prompt found in the prefix cache [tokens]; at most ``input_tokens - 1`` of them save work, as the
        last prompt token is always computed.
    max_tokens
        Bound its client gave [tokens], at least `output_tokens`; None means `output_tokens`.
    transferred_tokens
        Part of the prompt whose KV cache comes with it from another replica [tokens], of use like cached ones; but no
        cache holds it here, so it is gone with the blocks of the request.
    """

    request_id: str
    arrival_s: float
    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    max_tokens: int | None = None
    transferred_tokens: int = 0


class RequestOutcome(StrEnum):
    """How a request ended."""

    FINISHED = "finished"
    REJECTED = "rejected"  # the queue was full
    LEFT = "left"  # its client went away


class EndedRequest(NamedTuple):
    """A request that ended, measured in engine time.

    Attributes
    ----------
    request
        What was asked.
    outcome
        How it ended.
    end_s
        When it ended [s].
    generated_tokens
        Tokens generated until then [tokens].
    scheduled_s, first_token_s
        When its prefill began and when its first token came [s]; None when it ended before.
    preemptions
        How often its cache blocks were taken away.
    """

    request: EngineRequest
    outcome: RequestOutcome
    end_s: float
    generated_tokens: int = 0
    scheduled_s: float | None = None
    first_token_s: float | None = None
    preemptions: int = 0

    @property
    def ttft_s(self) -> float | None:
        """Arrival to first token [s], None without one."""
        return None if self.first_token_s is None else self.first_token_s - self.request.arrival_s

    @property
    def itl_s(self) -> float | None:
        """Mean time between its tokens after the first [s]; None unless it finished with two or more."""
        if self.outcome is not RequestOutcome.FINISHED or self.first_token_s is None or self.generated_tokens < 2:
            return None
        return (self.end_s - self.first_token_s) / (self.generated_tokens - 1)

    @property
    def ttlt_s(self) -> float | None:
        """Arrival to last token [s], None unless it finished."""
        return self.end_s - self.request.arrival_s if self.outcome is RequestOutcome.FINISHED else None


class EventKind(StrEnum):
    """What happened to a request in the engine."""

    FIRST_TOKEN = "first_token"
    TOKENS = "tokens"
    FINISHED = "finished"
    PREEMPTED = "preempted"


class EngineEvent(NamedTuple):
    """Something that happened to a request.

    Attributes
    ----------
    kind
        What.
    request_id
        To whom.
    time_s
        When, in engine time [s]; of a ``tokens`` event, the time of its last token.
    tokens
        Tokens that came since the last event of this request [tokens]; they add up to its output.
    ended
        The record, of ``finished`` events only.
    """

    kind: EventKind
    request_id: str
    time_s: float
    tokens: int = 0
    ended: EndedRequest | None = None
