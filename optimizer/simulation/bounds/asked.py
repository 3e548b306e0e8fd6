"""What is asked of one LLM, and how much of it must be done in which stretch of time by whoever keeps the SLO.

A request that arrives at `a` keeps its SLO when its first token comes by ``F = a + ttft`` and its last by
``D = min(a + ttlt, a + ttft + itl*(o-1))``. So in a stretch (s, e) with ``s < a``:

- its prompt is due when F <= e, or when otherwise its tokens could not come any more by D;
- of its o - 1 decode tokens at least ``o - 1 - (D - e)/tau`` are due, tau being the shortest iteration there is.

What is due in a stretch must be done within it, by replicas that serve in it: nobody can do it before it arrives, and
who does it later misses. What may be put off beyond the stretch is left out altogether. R requests.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from optimizer.domain import Role
from optimizer.errors import InvalidInput

FloatArray: TypeAlias = npt.NDArray[np.float64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
_MOMENT_S = 1e-6  # a request or a promise at the very edge of a stretch counts as outside of it


@dataclass(frozen=True, slots=True, eq=False)
class AskedRequests:
    """Requests of one LLM, columns of R entries.

    Attributes
    ----------
    arrival_s
        When each arrives, never falling [s].
    input_tokens
        Length of its prompt [tokens].
    prompt_tokens
        Least part of the prompt that must be computed: without what a prefix cache could hold at best [tokens].
    decode_tokens
        Output tokens after the first, >= 0 [tokens].
    ttft_s, itl_s, ttlt_s
        Its promise, infinite where there is none [s].
    """

    arrival_s: FloatArray
    input_tokens: FloatArray
    prompt_tokens: FloatArray
    decode_tokens: FloatArray
    ttft_s: FloatArray
    itl_s: FloatArray
    ttlt_s: FloatArray

    def __post_init__(self) -> None:
        """Raise InvalidInput where a bound is broken."""
        for name in ("input_tokens", "prompt_tokens", "decode_tokens", "ttft_s", "itl_s", "ttlt_s"):
            column = getattr(self, name)
            if column.shape != self.arrival_s.shape:
                raise InvalidInput(f"requests.{name}.shape", str(self.arrival_s.shape), column.shape)
            if len(column) and not float(column.min()) >= 0.0:
                raise InvalidInput(f"requests.{name}", ">= 0", float(column.min()))
        if bool(np.any(self.arrival_s[1:] < self.arrival_s[:-1])):
            raise InvalidInput("requests.arrival_s", "in order of arrival", "one that falls")

    def __len__(self) -> int:
        """Return R."""
        return len(self.arrival_s)

    def restrict(self, role: Role) -> AskedRequests:
        """Return what replicas of `role` have to do of them: prompts, all behind the last prompt token, or everything.

        Where prefill and decode are apart, a replica of role decode computes the last prompt token anew.
        """
        if role is Role.PREFILL:
            return replace(self, decode_tokens=np.zeros(len(self)))
        if role is Role.DECODE:
            return replace(self, prompt_tokens=np.minimum(self.prompt_tokens, 1.0))
        return self

    @property
    def deadline_s(self) -> FloatArray:
        """When the last token of each is due [s]."""
        decode_s = np.zeros(len(self))
        np.multiply(self.itl_s, self.decode_tokens, out=decode_s, where=self.decode_tokens > 0.0)
        return self.arrival_s + np.minimum(self.ttlt_s, self.ttft_s + decode_s)


@dataclass(frozen=True, slots=True, eq=False)
class DueTokens:
    """What of each request is due in the stretch it arrives in: R entries each.

    Attributes
    ----------
    prompt_tokens, decode_tokens
        Tokens due [tokens].
    is_whole
        Whether all of it is.
    """

    prompt_tokens: FloatArray
    decode_tokens: FloatArray
    is_whole: BoolArray


def find_stretches(requests: AskedRequests, edges_s: FloatArray) -> npt.NDArray[np.int64]:
    """Return the stretch between `edges_s` that each request arrives in, -1 for none: outside, or at the very edge."""
    places = np.searchsorted(edges_s, requests.arrival_s, side="right").astype(np.int64) - 1
    is_inside = (places >= 0) & (places < len(edges_s) - 1)
    starts_s = edges_s[np.where(is_inside, places, 0)]
    return np.where(is_inside & (requests.arrival_s > starts_s + _MOMENT_S), places, -1)


def compute_due(requests: AskedRequests, ends_s: FloatArray, shortest_iteration_s: float) -> DueTokens:
    """Return what of each request is due by the end of its stretch, `ends_s` [s], R entries."""
    left_s = requests.deadline_s + _MOMENT_S - ends_s
    is_whole = left_s <= 0.0
    decode = np.where(is_whole, requests.decode_tokens, 0.0)
    if shortest_iteration_s > 0.0:
        later = np.minimum(np.maximum(left_s, 0.0) / shortest_iteration_s, requests.decode_tokens)
        decode = requests.decode_tokens - later
    needs_prompt = (requests.arrival_s + requests.ttft_s + _MOMENT_S <= ends_s) | (decode > 0.0) | is_whole
    return DueTokens(np.where(needs_prompt, requests.prompt_tokens, 0.0), decode, is_whole)


def compute_context_read(input_tokens: FloatArray, decode_tokens: FloatArray) -> FloatArray:
    """Return the context that the first `decode_tokens` decode iterations of requests read together [tokens]."""
    read: FloatArray = decode_tokens * input_tokens + 0.5 * decode_tokens * (decode_tokens + 1.0)
    return read
