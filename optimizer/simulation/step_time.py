"""How long iterations of a token engine take: by a performance model, with seeded noise on top. Nothing is measured."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from optimizer.domain import IterationLaw, IterationTable
from optimizer.errors import InvalidInput
from optimizer.performance import LinearIterationTime, MeasuredIterationTime

_NOISE_BLOCK = 1024  # draws fetched from the generator at once


class StepTime(Protocol):
    """Tells how long an iteration takes; every performance model does."""

    def compute_iteration_s(self, decoding_requests: float, context_tokens: float, prompt_tokens: float) -> float:
        """Return the time of one iteration [s], > 0.

        `decoding_requests` n >= 0 hold `context_tokens` K together, `prompt_tokens` P >= 0 are computed; n + P >= 1.
        """
        ...


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
        if not sigma_ratio >= 0:
            raise InvalidInput("sigma_ratio", ">= 0", sigma_ratio)
        self._step_time = step_time
        self._sigma_ratio = sigma_ratio
        self._generator = generator
        self._factors: list[float] = []

    def compute_iteration_s(self, decoding_requests: float, context_tokens: float, prompt_tokens: float) -> float:
        """Return the time of one iteration [s]."""
        if not self._factors:
            sigma = self._sigma_ratio
            self._factors = self._generator.lognormal(-sigma * sigma / 2, sigma, _NOISE_BLOCK).tolist()
        time_s = self._step_time.compute_iteration_s(decoding_requests, context_tokens, prompt_tokens)
        return time_s * self._factors.pop()


def make_step_time(performance: IterationLaw | IterationTable) -> StepTime:
    """Return the step time that `performance` describes.

    Raises
    ------
    InvalidInput
        When an iteration would take no time, or the table is empty, ragged or not ascending.
    """
    if isinstance(performance, IterationLaw):
        return LinearIterationTime(performance)
    return MeasuredIterationTime(performance)
