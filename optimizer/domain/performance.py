"""What is known beforehand of the speed of one replica: coefficients of a law, or measured tables. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ProfileOrigin(StrEnum):
    """Where a performance figure comes from, from the most to the least trusted."""

    TABLE = "table"
    LEARNED = "learned"
    PROFILE = "profile"
    PRIOR = "prior"


@dataclass(frozen=True, slots=True)
class IterationLaw:
    """Time of one engine iteration: ``fixed + per_request*n + per_context_token*K + per_prompt_token*P`` [s].

    n decoding requests, K context tokens they hold together, P prompt tokens computed in the iteration
    (a, b, c, e in the literature).

    Attributes
    ----------
    fixed_s
        a: time of an iteration without any work [s].
    per_request_s
        b: per decoding request [s].
    per_context_token_s
        c: per token of context read [s].
    per_prompt_token_s
        e: per prompt token computed, of the *linear* prefill fit [s].
    """

    fixed_s: float
    per_request_s: float
    per_context_token_s: float
    per_prompt_token_s: float


@dataclass(frozen=True, slots=True)
class IterationTable:
    """Measured iteration times.

    Attributes
    ----------
    batches
        N running requests, ascending.
    contexts_tokens
        C mean context tokens per request, ascending.
    decode_s
        Time of a pure decode iteration [s], N rows of C columns.
    prompts_tokens
        P prompt lengths, ascending [tokens].
    prefill_s
        Time of the prefill of one prompt alone [s], P entries.
    """

    batches: tuple[float, ...]
    contexts_tokens: tuple[float, ...]
    decode_s: tuple[tuple[float, ...], ...]
    prompts_tokens: tuple[float, ...]
    prefill_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PerformanceProfile:
    """What is known beforehand of one replica of a variant.

    Attributes
    ----------
    law
        Coefficients; either this or `table` is given, the table wins.
    table
        Measured iteration times.
    kv_capacity_tokens
        Tokens that fit into the KV cache of one replica, None when only the engine's page will tell.
    overhead_s
        Time a server adds to TTFT over the engine's own [s].
    derate_ratio
        Share of the modelled capacity that is planned with [0-1]; 0.85 suits kernel tables, 1.0 a measured server.
    origin
        Where the figures come from.
    """

    law: IterationLaw | None = None
    table: IterationTable | None = None
    kv_capacity_tokens: float | None = None
    overhead_s: float = 0.02
    derate_ratio: float = 0.85
    origin: ProfileOrigin = ProfileOrigin.PROFILE
