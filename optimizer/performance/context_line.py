"""Iteration times of one batch by the context it holds, as straight lines: what sums of them need. Data only."""

from __future__ import annotations

from typing import NamedTuple


class ContextLine(NamedTuple):
    """Time of a decode iteration of a given batch, ``fixed_s + per_token_s * K``, from where the line before ends.

    Attributes
    ----------
    until_tokens
        Largest K, context of all its requests together, for which it holds [tokens]; infinite for the last line.
    fixed_s
        Time at K = 0 if the line went so far [s]; it may be negative.
    per_token_s
        What a token of context adds [s], >= 0.
    """

    until_tokens: float
    fixed_s: float
    per_token_s: float
