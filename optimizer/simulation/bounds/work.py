"""The least time a replica can spend on a request, linear in its tokens. It knows no arrivals and no other replicas.

A replica does one second of engine time a second. Its N iterations in a stretch take ``a*N + b*(decode tokens) +
c*(context read) + e*(prompt tokens computed)``, and N cannot be small, because an iteration holds only so much:

    N >= decode tokens / B,   N >= (decode + prompt tokens) / C,   N >= context read / M

with at most B requests, C computed tokens and M tokens of KV cache. A fourth follows from the pace that is promised.
Of the requests that keep an ITL of S, each counted with the weight ``w = b + c*(its prompt)``, the weight W is decoded
in an iteration of time T >= a + W. The sum of W*T over the iterations is the weighted sum of their decode times, hence
at most S times the weighted sum Y of their decode tokens; and the sum of W^2 is at least Y^2/N. So
``a*Y + Y^2/N <= S*Y``, that is

    N >= Y / (S - a),   Y = sum of w * decode tokens     of those requests that are begun and ended in the stretch

Each of the four makes the fixed part linear as well, and each is a lower bound on its own; the one that weighs most on
the mean request is taken. So the work of the requests that a replica serves well in a stretch is no more than the
length of the stretch, whatever their lengths, their order, the batches they share, and what else is served badly.
Padding and idle time only add to it.

Preemption adds to it as well, but for one token each time: a request sent back after g >= 1 tokens computes its prompt
and these g anew, and that very computation yields the next token, which is then not decoded. Its u prompt tokens that
no cache holds and the g cost ``e*(u + g)``, the decode step they replace ``b + c*(input + g)``, which may be more: of
short prompts, cached ones, long contexts. So of the tokens 1 ... d of a request the cheaper of the two is counted,

    saved(d) = sum over g = 1 ... d of ( b + c*(input + g) - e*(u + g) )+

is taken off. The fixed part stays: such a token takes a place of the B in its last iteration, u + g >= 1 of the C
tokens and input + g of the M of memory, as the decode step does. Only the pace is kept by decode steps alone: with a
weight y of Y got in the other way, ``a*(Y-y) + (Y-y)^2/N <= S*Y - a*y`` and ``(Y-y)^2 >= Y*(Y - 2*y)`` leave N less by
two tokens' share for each, which the saving then has on top.

How the law below a measured table is chosen, and which of the four is taken: see `speed`. Source: derived here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer.errors import InvalidInput
from optimizer.simulation.bounds.asked import AskedRequests, FloatArray, compute_context_read


@dataclass(frozen=True, slots=True)
class ReplicaWork:
    """What a request takes of a replica's time at least.

    Attributes
    ----------
    per_prompt_token_s
        Per prompt token computed [s].
    per_decode_token_s
        Per output token after the first [s].
    per_context_token_s
        Per token of context read in a decode iteration [s].
    per_paced_token_s, per_paced_context_token_s
        Per output token after the first of a request that is due as a whole and was promised a pace, and per such
        token and token of its prompt [s].
    per_request_s
        Of a request as a whole, where nothing finer is known: due when its last token is [s].
    shortest_iteration_s
        Least time between two tokens of a request [s]; 0 where unknown.
    ceiling_ratio
        Largest share of its time that a replica ever spends on this work while it keeps the SLO (0-1]; 1 is physics,
        less must have been measured, with its confidence interval on the side of 1.
    saved_decode_token_s, saved_context_token_s
        Of a decode step, and per token of context it reads, what a preemption spares by computing anew instead [s].
    """

    per_prompt_token_s: float = 0.0
    per_decode_token_s: float = 0.0
    per_context_token_s: float = 0.0
    per_paced_token_s: float = 0.0
    per_paced_context_token_s: float = 0.0
    per_request_s: float = 0.0
    shortest_iteration_s: float = 0.0
    ceiling_ratio: float = 1.0
    saved_decode_token_s: float = 0.0
    saved_context_token_s: float = 0.0

    def __post_init__(self) -> None:
        """Raise InvalidInput where a bound is broken."""
        if not 0.0 < self.ceiling_ratio <= 1.0:
            raise InvalidInput("ceiling_ratio", "above 0, up to 1", self.ceiling_ratio)
        times_s = (
            self.per_prompt_token_s,
            self.per_decode_token_s,
            self.per_context_token_s,
            self.per_paced_token_s,
            self.per_paced_context_token_s,
            self.per_request_s,
            self.shortest_iteration_s,
            self.saved_decode_token_s,
            self.saved_context_token_s,
        )
        if not all(0.0 <= time_s < np.inf for time_s in times_s) or not any(times_s[:6]):
            raise InvalidInput("work", ">= 0 and finite, one of it above 0 [s]", times_s)

    def compute_s(self, requests: AskedRequests, prompt_tokens: FloatArray, decode_tokens: FloatArray) -> FloatArray:
        """Return the time for that much of each of `requests` [s], without what is added for a whole one."""
        read = compute_context_read(requests.input_tokens, decode_tokens)
        taken_s: FloatArray = (
            self.per_prompt_token_s * prompt_tokens
            + self.per_decode_token_s * decode_tokens
            + self.per_context_token_s * read
        )
        return np.maximum(taken_s - self.compute_saved_s(requests, decode_tokens), 0.0)

    def compute_saved_s(self, requests: AskedRequests, decode_tokens: FloatArray) -> FloatArray:
        """Return what preemptions may spare at most in the first `decode_tokens` of each request [s].

        The sum of ``first - slope*g`` over g = 1, 2, ... as long as that is above 0; where it rises, the last for each.
        """
        slope_s = self.per_prompt_token_s - self.saved_context_token_s
        first_s = (
            self.saved_decode_token_s
            + self.saved_context_token_s * requests.input_tokens
            - self.per_prompt_token_s * requests.prompt_tokens
        )
        tokens = np.ceil(decode_tokens)
        if slope_s < 0.0:
            return np.asarray(tokens * np.maximum(first_s - slope_s * tokens, 0.0))
        if slope_s > 0.0:
            tokens = np.minimum(tokens, np.floor(np.maximum(first_s, 0.0) / slope_s))
        saved_s: FloatArray = np.maximum(first_s * tokens - 0.5 * slope_s * tokens * (tokens + 1.0), 0.0)
        return saved_s

    def compute_whole_s(self, requests: AskedRequests) -> FloatArray:
        """Return the time for the whole of each request [s]."""
        tokens_s = self.compute_s(requests, requests.prompt_tokens, requests.decode_tokens)
        return tokens_s + self.compute_added_s(requests)

    def compute_added_s(self, requests: AskedRequests) -> FloatArray:
        """Return what is added for whole requests [s]."""
        paced_tokens = np.where(np.isfinite(requests.itl_s), requests.decode_tokens, 0.0)
        added_s: FloatArray = self.per_request_s + paced_tokens * (
            self.per_paced_token_s + self.per_paced_context_token_s * requests.input_tokens
        )
        return added_s


def make_rate_work(capacity_per_s: float) -> ReplicaWork:
    """Return the work where all that is known is how many requests a second a replica sustains.

    It makes a bound only for requests of equal length, or where none that could come in a row is smaller than what
    the capacity was measured for.
    """
    if not capacity_per_s > 0.0:
        raise InvalidInput("capacity_per_s", "> 0 [1/s]", capacity_per_s)
    return ReplicaWork(per_request_s=1.0 / capacity_per_s)
