"""How long iterations of a token engine take: by a law or a measured table, with seeded noise. Nothing is measured.

Times are looked up as floats once, and rounded to ticks; from there on everything is done in whole numbers.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import NamedTuple, Protocol

import numpy as np

from optimizer.domain import IterationLaw, IterationTable
from optimizer.errors import InvalidInput
from optimizer.performance import LinearIterationTime, MeasuredIterationTime
from optimizer.simulation.noise import NoiseFactors
from optimizer.simulation.steps import ENDLESS, Steps
from optimizer.simulation.ticks import FACTOR_ONE, to_ticks

NOISE_ITERATIONS = 64
"""Iterations in a row that share a noise factor: what disturbs a server lasts for a while."""


class StepTime(Protocol):
    """Tells how long iterations take."""

    def plan_steps(self, decoding_requests: int, context_tokens: int, prompt_tokens: int, iteration: int) -> Steps:
        """Return the times of the next iterations of a batch that stays as it is.

        Parameters
        ----------
        decoding_requests
            n, requests that get a token in each, >= 0.
        context_tokens
            K, context they hold together in the first [tokens]; it grows by n from one to the next.
        prompt_tokens
            P, prompt tokens computed in the first, and only there [tokens]; n + P >= 1.
        iteration
            Iterations the engine ended before.

        Notes
        -----
        What it plans for the iterations behind the first must be what it plans when asked at them.
        """
        ...


class LawStepTime:
    """Times by a linear law.

    Parameters
    ----------
    law
        The law.
    slowdown_ratio
        What all its times are multiplied by, > 0.

    Raises
    ------
    InvalidInput
        When an iteration would take no time, or a coefficient is negative.
    """

    def __init__(self, law: IterationLaw, slowdown_ratio: float = 1.0) -> None:
        LinearIterationTime(law)  # checks it
        _check_slowdown(slowdown_ratio)
        self._fixed_ticks = to_ticks(law.fixed_s * slowdown_ratio)
        self._per_request_ticks = to_ticks(law.per_request_s * slowdown_ratio)
        self._per_context_ticks = to_ticks(law.per_context_token_s * slowdown_ratio)
        self._per_prompt_ticks = to_ticks(law.per_prompt_token_s * slowdown_ratio)

    def plan_steps(self, decoding_requests: int, context_tokens: int, prompt_tokens: int, iteration: int) -> Steps:  # noqa: ARG002
        """Return ``a + b*n + c*K + e*P``, growing by ``c*n``."""
        first_ticks = (
            self._fixed_ticks
            + self._per_request_ticks * decoding_requests
            + self._per_context_ticks * context_tokens
            + self._per_prompt_ticks * prompt_tokens
        )
        return Steps(first_ticks, self._per_context_ticks * decoding_requests, ENDLESS)


class _Line(NamedTuple):
    """As a `ContextLine`, in ticks and whole tokens."""

    until_tokens: int
    fixed_ticks: int
    per_token_ticks: int


class TableStepTime:
    """Times by a measured table, linear between its points.

    Parameters
    ----------
    table
        The table.
    slowdown_ratio
        What all its times are multiplied by, > 0.

    Raises
    ------
    InvalidInput
        When the table is empty, ragged, not ascending, or holds a time that is none.

    Notes
    -----
    It keeps the lines of every batch size it was asked for; many engines may share one.
    """

    def __init__(self, table: IterationTable, slowdown_ratio: float = 1.0) -> None:
        self._model = MeasuredIterationTime(table)
        _check_slowdown(slowdown_ratio)
        self._slowdown_ratio = slowdown_ratio
        self._lines: dict[int, tuple[_Line, ...]] = {}

    def plan_steps(self, decoding_requests: int, context_tokens: int, prompt_tokens: int, iteration: int) -> Steps:  # noqa: ARG002
        """Return the interpolated times, as far as the cell of the table reaches."""
        lines = self._lines.get(decoding_requests) or self._draw_lines(decoding_requests)
        line = lines[bisect_left(lines, (context_tokens,))]
        first_ticks = line.fixed_ticks + line.per_token_ticks * context_tokens
        if prompt_tokens:
            first_ticks += to_ticks(self._model.compute_prefill_work_s(prompt_tokens) * self._slowdown_ratio)
        n = decoding_requests
        limit = (line.until_tokens - context_tokens) // n + 1 if n else ENDLESS
        return Steps(first_ticks, line.per_token_ticks * n, limit)

    def _draw_lines(self, decoding_requests: int) -> tuple[_Line, ...]:
        slowdown = self._slowdown_ratio
        lines = self._lines[decoding_requests] = tuple(
            _Line(
                ENDLESS if math.isinf(line.until_tokens) else math.floor(line.until_tokens),
                to_ticks(line.fixed_s * slowdown),
                to_ticks(line.per_token_s * slowdown),
            )
            for line in self._model.list_context_lines(decoding_requests)
        )
        return lines


class NoisyStepTime:
    """Another step time, multiplied by lognormal noise of mean 1 that changes every few iterations.

    Parameters
    ----------
    step_time
        The undisturbed time.
    sigma_ratio
        Standard deviation of the logarithm of the noise, >= 0.
    generator
        Where the noise comes from; equal seeds give equal runs.

    Notes
    -----
    A factor belongs to iterations by their number, so it does not matter how often they are asked for. It serves one
    engine.
    """

    def __init__(self, step_time: StepTime, sigma_ratio: float, generator: np.random.Generator) -> None:
        self._step_time = step_time
        self._factors = NoiseFactors(sigma_ratio, generator)
        self._factor, self._until_iteration = FACTOR_ONE, 0

    def plan_steps(self, decoding_requests: int, context_tokens: int, prompt_tokens: int, iteration: int) -> Steps:
        """Return the disturbed times, as far as the factor holds."""
        while iteration >= self._until_iteration:
            self._factor = self._factors.draw()
            self._until_iteration += NOISE_ITERATIONS
        first, growth, limit = self._step_time.plan_steps(decoding_requests, context_tokens, prompt_tokens, iteration)
        factor = self._factor
        return Steps(
            first // FACTOR_ONE * factor,
            growth // FACTOR_ONE * factor,
            min(limit, self._until_iteration - iteration),
        )


def make_step_time(performance: IterationLaw | IterationTable, slowdown_ratio: float = 1.0) -> StepTime:
    """Return the step time that `performance` describes, every time of it multiplied by `slowdown_ratio`.

    Raises
    ------
    InvalidInput
        When an iteration would take no time, or the table is empty, ragged or not ascending.
    """
    if isinstance(performance, IterationLaw):
        return LawStepTime(performance, slowdown_ratio)
    return TableStepTime(performance, slowdown_ratio)


def _check_slowdown(slowdown_ratio: float) -> None:
    if not 0.0 < slowdown_ratio < math.inf:
        raise InvalidInput("slowdown_ratio", "> 0 and finite", slowdown_ratio)
