"""What the rooms above ask of a performance model: the time of one iteration. No law lives here, and no queue."""

from __future__ import annotations

from typing import Protocol

from optimizer.domain import PerformanceProfile
from optimizer.performance.law import LinearIterationTime
from optimizer.performance.table import MeasuredIterationTime


class IterationTime(Protocol):
    """Time of one engine iteration; it never falls when requests, their mean context or prompt tokens grow."""

    def compute_iteration_s(self, decoding_requests: float, context_tokens: float, prompt_tokens: float = 0.0) -> float:
        """Return the time [s] of an iteration.

        Parameters
        ----------
        decoding_requests
            n, requests that get one token each [requests], >= 0; may be a mean, hence not whole.
        context_tokens
            K, context they hold together [tokens], >= 0.
        prompt_tokens
            P, prompt tokens computed in the same iteration [tokens], >= 0.
        """

    def compute_prefill_work_s(self, prompt_tokens: float) -> float:
        """Return what a prompt adds to the iterations that compute it [s]: the prefill-interference term.

        0 for no tokens; the fixed part of an iteration is not in it.
        """


def to_iteration_time(profile: PerformanceProfile) -> IterationTime | None:
    """Return the performance model of `profile`: its table, else its law, None when it has neither."""
    if profile.table is not None:
        return MeasuredIterationTime(profile.table)
    if profile.law is not None:
        return LinearIterationTime(profile.law)
    return None
