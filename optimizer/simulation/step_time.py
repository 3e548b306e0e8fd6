"""How long one engine iteration takes: by the linear law, by a measured table, and with seeded noise on top.

    law:    t = a + b*n + c*K + e*P
    table:  t = decode(n, K/n) + prefill(P) - prefill(0)

n decoding requests hold K context tokens together, P prompt tokens are computed beside them. It measures nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np

from optimizer.domain import IterationLaw, IterationTable
from optimizer.errors import InvalidInput

_NOISE_BLOCK = 1024  # draws fetched from the generator at once


class StepTime(Protocol):
    """Tells how long an iteration takes."""

    def compute_step_s(self, decoding_requests: int, context_tokens: int, prompt_tokens: int) -> float:
        """Return the time of one iteration [s], > 0.

        `decoding_requests` n >= 0, `context_tokens` K >= 0 that they hold together, `prompt_tokens` P >= 0 computed;
        n + P >= 1.
        """
        ...


class LawStepTime:
    """The linear law ``a + b*n + c*K + e*P``."""

    def __init__(self, law: IterationLaw) -> None:
        _check_positive("law.fixed_s", law.fixed_s)
        self._law = law

    def compute_step_s(self, decoding_requests: int, context_tokens: int, prompt_tokens: int) -> float:
        """Return the time of one iteration [s]."""
        law = self._law
        return (
            law.fixed_s
            + law.per_request_s * decoding_requests
            + law.per_context_token_s * context_tokens
            + law.per_prompt_token_s * prompt_tokens
        )


class TableStepTime:
    """A measured table, linear between its points.

    Decode times are held constant below the smallest batch and context and continued with the last slope above the
    largest. A prompt adds what its prefill takes beyond an iteration without work, whose time is the smallest decode
    or prefill time of the table.

    Source: additive mixed iterations, measured at 3.3 % median error on kernel tables (a + b*n + c*K + e*P form).
    """

    def __init__(self, table: IterationTable) -> None:
        _check_table(table)
        self._table = table
        self._floor_s = min(table.decode_s[0][0], table.prefill_s[0])
        self._prompts = (0.0, *table.prompts_tokens)
        self._prefill_s = (self._floor_s, *table.prefill_s)

    def compute_step_s(self, decoding_requests: int, context_tokens: int, prompt_tokens: int) -> float:
        """Return the time of one iteration [s]."""
        step_s = self._floor_s
        if decoding_requests:
            step_s = self._decode_s(decoding_requests, context_tokens / decoding_requests)
        if prompt_tokens:
            step_s += _interpolate(self._prompts, self._prefill_s, float(prompt_tokens)) - self._floor_s
        return step_s

    def _decode_s(self, batch: float, context_tokens: float) -> float:
        table = self._table
        batch, context_tokens = max(batch, table.batches[0]), max(context_tokens, table.contexts_tokens[0])
        row = _lower_point(table.batches, batch)
        below_s = _interpolate(table.contexts_tokens, table.decode_s[row], context_tokens)
        if len(table.batches) == 1:
            return below_s
        above_s = _interpolate(table.contexts_tokens, table.decode_s[row + 1], context_tokens)
        share = (batch - table.batches[row]) / (table.batches[row + 1] - table.batches[row])
        return below_s + share * (above_s - below_s)


class NoisyStepTime:
    """Another step time, each iteration multiplied by lognormal noise of mean 1.

    Parameters
    ----------
    step_time
        The undisturbed time.
    sigma_ratio
        Standard deviation of the logarithm of the noise, >= 0.
    generator
        Where the noise comes from; one draw an iteration, so equal seeds give equal runs.
    """

    def __init__(self, step_time: StepTime, sigma_ratio: float, generator: np.random.Generator) -> None:
        if sigma_ratio < 0:
            raise InvalidInput("sigma_ratio", ">= 0", sigma_ratio)
        self._step_time = step_time
        self._sigma_ratio = sigma_ratio
        self._generator = generator
        self._factors: list[float] = []

    def compute_step_s(self, decoding_requests: int, context_tokens: int, prompt_tokens: int) -> float:
        """Return the time of one iteration [s]."""
        if not self._factors:
            sigma = self._sigma_ratio
            self._factors = self._generator.lognormal(-sigma * sigma / 2, sigma, _NOISE_BLOCK).tolist()
        return self._step_time.compute_step_s(decoding_requests, context_tokens, prompt_tokens) * self._factors.pop()


def make_step_time(performance: IterationLaw | IterationTable) -> StepTime:
    """Return the step time that `performance` describes.

    Raises
    ------
    InvalidInput
        When an iteration would take no time, or the table is empty, ragged or not ascending.
    """
    return LawStepTime(performance) if isinstance(performance, IterationLaw) else TableStepTime(performance)


def _lower_point(points: Sequence[float], value: float) -> int:
    """Return the index of the point below `value` that has one above it."""
    return min(max(bisect_right(points, value) - 1, 0), max(len(points) - 2, 0))


def _interpolate(points: Sequence[float], values: Sequence[float], at: float) -> float:
    """Return the value at `at`, linear between points, continued beyond the last one."""
    if len(points) == 1:
        return values[0]
    low = _lower_point(points, at)
    share = (at - points[low]) / (points[low + 1] - points[low])
    return values[low] + share * (values[low + 1] - values[low])


def _check_positive(field: str, value_s: float) -> None:
    if not value_s > 0:
        raise InvalidInput(field, "> 0 [s]", value_s)


def _check_table(table: IterationTable) -> None:
    for name, axis in (
        ("batches", table.batches),
        ("contexts_tokens", table.contexts_tokens),
        ("prompts_tokens", table.prompts_tokens),
    ):
        if not axis or axis[0] <= 0 or any(b <= a for a, b in pairwise(axis)):
            raise InvalidInput(f"table.{name}", "positive and ascending, at least one", axis)
    if [len(row) for row in table.decode_s] != [len(table.contexts_tokens)] * len(table.batches):
        raise InvalidInput("table.decode_s", "one row per batch, one column per context", table.decode_s)
    if len(table.prefill_s) != len(table.prompts_tokens):
        raise InvalidInput("table.prefill_s", "one entry per prompt length", table.prefill_s)
    for value_s in (*table.prefill_s, *(value for row in table.decode_s for value in row)):
        _check_positive("table times", value_s)
