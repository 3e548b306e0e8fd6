"""What the client intends: phases of load and the seeded requests in them. It sends nothing and reads no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

MOST_INPUT_TOKENS, MOST_OUTPUT_TOKENS = 1500, 400

SETTLING_S = 20.0
"""The head of a steady phase, which still holds requests of the phase before; it is not compared [s]."""
STRETCH_S = 60.0
"""Means and quantiles are published for a stretch of at most this length [s]."""
STEP_S = 6.0
"""A stretch moves on when a page is read: every 2 s, and two pages in a row may be lost [s]."""
LEAST_STEADY_S = SETTLING_S + STRETCH_S + STEP_S
"""A phase this long holds a whole stretch after its head, wherever the pages fall [s]."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of load of one kind.

    Attributes
    ----------
    name
        Told in the report.
    duration_s
        How long it lasts [s].
    rate_per_s
        Poisson arrivals [1/s].
    input_ln_mean, output_ln_mean
        Means of the logarithm of the token lengths.
    burst_requests
        Requests sent at once when the phase begins.
    leaving_ratio
        Share of the requests whose client leaves after `patience_s` [0-1].
    patience_s
        See `leaving_ratio` [s].
    is_steady
        Whether means and quantiles are compared in it.
    """

    name: str
    duration_s: float
    rate_per_s: float
    input_ln_mean: float = 4.5
    output_ln_mean: float = 3.8
    burst_requests: int = 0
    leaving_ratio: float = 0.0
    patience_s: float = 2.0
    is_steady: bool = False


@dataclass(frozen=True, slots=True)
class Restart:
    """The server is killed, with requests in it, and started again."""

    name: str = "restart"


@dataclass(frozen=True, slots=True)
class PlannedRequest:
    """One request as intended; `offset_s` counts from the beginning of its phase, `patience_s` from its sending [s]."""

    offset_s: float
    input_tokens: int
    output_tokens: int
    patience_s: float | None = None


#: Light load, a queue behind few slots, recovery, a crash under load, and another mix on the new server.
TRIAL: tuple[Phase | Restart, ...] = (
    Phase("light", 90, 2.0, is_steady=True),
    Phase("overload", 25, 8.0, output_ln_mean=4.2, burst_requests=60, leaving_ratio=0.1),
    Phase("recovery", 60, 1.5),
    Restart(),
    Phase("other mix", 90, 2.5, input_ln_mean=5.5, output_ln_mean=3.0, is_steady=True),
    Phase("silence", 20, 0.0),
)


def shorten(trial: Sequence[Phase | Restart], ratio: float) -> tuple[Phase | Restart, ...]:
    """Return the trial with every phase `ratio` times as long, for a look; no steady one too short is judged."""

    def shorten_phase(phase: Phase) -> Phase:
        duration_s = phase.duration_s * ratio
        return replace(phase, duration_s=duration_s, is_steady=phase.is_steady and duration_s >= LEAST_STEADY_S)

    return tuple(shorten_phase(part) if isinstance(part, Phase) else part for part in trial)


def plan_requests(phase: Phase, generator: np.random.Generator) -> tuple[PlannedRequest, ...]:
    """Return the requests of `phase` in order of time; the same generator state gives the same requests."""
    count = int(generator.poisson(phase.rate_per_s * phase.duration_s))
    offsets_s = [0.0] * phase.burst_requests + sorted(generator.uniform(0, phase.duration_s, count).tolist())
    return tuple(
        PlannedRequest(
            offset_s,
            _draw_tokens(phase.input_ln_mean, 0.6, MOST_INPUT_TOKENS, generator),
            _draw_tokens(phase.output_ln_mean, 0.5, MOST_OUTPUT_TOKENS, generator),
            phase.patience_s if generator.random() < phase.leaving_ratio else None,
        )
        for offset_s in offsets_s
    )


def _draw_tokens(ln_mean: float, ln_deviation: float, most_tokens: int, generator: np.random.Generator) -> int:
    return int(min(most_tokens, max(2, round(generator.lognormal(ln_mean, ln_deviation)))))
