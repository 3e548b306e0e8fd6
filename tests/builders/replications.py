"""Independent runs of one token engine as a queue, and what their means are known to be: Student's interval over runs.

Every run starts empty with a seed of its own; its first tenth is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from optimizer.domain import IterationLaw
from optimizer.simulation import EndedRequest, EngineLimits, EngineRequest, TokenEngine, make_step_time
from optimizer.simulation.ticks import to_ns

LEVEL = 0.999
WARM_UP_RATIO = 0.1

Floats = npt.NDArray[np.float64]
DrawTokens = Callable[[np.random.Generator, int], npt.NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Run:
    """Requests of one run in order of arrival: their records, and how many requests each found there on arrival."""

    ended: Sequence[EndedRequest]
    found_requests: Floats

    @property
    def sojourns_s(self) -> Floats:
        return np.array([record.ttlt_s for record in self.ended], dtype=np.float64)

    @property
    def waits_s(self) -> Floats:
        return np.array([(record.scheduled_s or 0.0) - record.request.arrival_s for record in self.ended])

    @property
    def output_tokens(self) -> Floats:
        return np.array([record.generated_tokens for record in self.ended], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, and half the width of its interval at `LEVEL`."""

    mean: float
    half_width: float

    def agrees_with(self, expected: float, *, error_ratio: float) -> bool:
        """Tell whether `expected` lies in the interval, and the interval within `error_ratio` of it."""
        return abs(self.mean - expected) <= self.half_width <= error_ratio * expected


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of one value a run."""
    spread = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Estimate(float(np.mean(values)), float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)) * spread)


def replicate(
    law: IterationLaw,
    limits: EngineLimits,
    rate_per_s: float,
    draw_tokens: DrawTokens,
    *,
    runs: int,
    requests: int,
) -> list[Run]:
    """Offer Poisson arrivals of one prompt token with outputs by `draw_tokens`, `runs` times."""
    found = []
    for seed in range(runs):
        generator = np.random.default_rng((20, seed))
        arrivals_s = np.cumsum(generator.exponential(1.0 / rate_per_s, requests)).tolist()
        outputs = draw_tokens(generator, requests).tolist()
        engine = TokenEngine(make_step_time(law), limits, tells_tokens=False)
        found.append(_run(engine, arrivals_s, outputs))
    return found


def _run(engine: TokenEngine, arrivals_s: list[float], outputs: list[int]) -> Run:
    found, ended = [], []
    for number, (arrival_s, output_tokens) in enumerate(zip(arrivals_s, outputs, strict=True)):
        ended += engine.advance_ns(to_ns(arrival_s))
        found.append(float(engine.running_requests + engine.waiting_requests))
        engine.submit(EngineRequest(str(number), arrival_s, 1, output_tokens))
    while (change_ns := engine.next_change_ns) is not None:
        ended += engine.advance_ns(change_ns)
    records = sorted((event.ended for event in ended if event.ended), key=lambda record: record.request.arrival_s)
    assert len(records) == len(arrivals_s)
    first = int(len(records) * WARM_UP_RATIO)
    return Run(records[first:], np.array(found[first:]))
