"""What the client intends: phases of load and the seeded requests in them. It sends nothing and reads no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

MOST_INPUT_TOKENS, MOST_OUTPUT_TOKENS = 1500, 400


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
    Phase("light", 80, 2.0, is_steady=True),
    Phase("overload", 25, 8.0, output_ln_mean=4.2, burst_requests=60, leaving_ratio=0.1),
    Phase("recovery", 60, 1.5),
    Restart(),
    Phase("other mix", 80, 2.5, input_ln_mean=5.5, output_ln_mean=3.0, is_steady=True),
    Phase("silence", 20, 0.0),
)


def shorten(trial: Sequence[Phase | Restart], ratio: float) -> tuple[Phase | Restart, ...]:
    """Return the trial with every phase `ratio` times as long, for a look without judgement of steady minutes."""
    return tuple(
        replace(part, duration_s=part.duration_s * ratio, is_steady=part.is_steady and part.duration_s * ratio >= 75)
        if isinstance(part, Phase)
        else part
        for part in trial
    )


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
