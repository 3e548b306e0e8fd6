"""Stories of traffic: who asks for which LLM when, with how many tokens. Seeded and endless; nothing is sent here.

Every story has a period after which it repeats, with fresh draws. Rates are given in *replicas' worth*: multiples of
what one replica of the LLM carries within its SLO.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from adapter.demo.catalog import DemoModel
from adapter.demo.profiles import TracedRequest, read_trace
from optimizer.domain import ModelKey

TRACE_BEGIN_S = 20 * 60.0
TRACE_PERIOD_S = 20 * 60.0
"""The busy stretch of the trace: minutes 20 to 40 hold its highest minute, and a rise by two fifths before it."""


Shape = Callable[[float], float]
"""Replicas' worth of traffic at an offset within the period [s]."""

Times = np.ndarray[tuple[int], np.dtype[np.float64]]


class ScenarioName(StrEnum):
    """What can be played."""

    TRACE = "trace"
    RAMP = "ramp"
    HILL = "hill"
    STEP = "step"
    SPIKES = "spikes"
    ZERO = "zero"
    MIX = "mix"
    NIGHT = "night"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request: `offset_s` after the beginning of the story [s]."""

    offset_s: float
    key: ModelKey
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """A story of traffic.

    Attributes
    ----------
    name, summary
        What it is called and what happens in it.
    period_s
        Time after which it repeats [s].
    opening_rates_per_s
        Rate at its beginning, per LLM [1/s]: what a fleet should be ready for.
    goes_to_zero
        Whether it leaves an LLM without traffic for long, so that zero replicas should be allowed.
    iterate
        Makes the arrivals of the period that begins at an offset [s], in order of time, from a random generator.
    """

    name: ScenarioName
    summary: str
    period_s: float
    opening_rates_per_s: Mapping[ModelKey, float]
    goes_to_zero: bool
    iterate: Callable[[float, np.random.Generator], Iterator[Arrival]]

    def play(self, seed: int) -> Iterator[Arrival]:
        """Yield its arrivals in order of time, without end."""
        period = 0
        while True:
            yield from self.iterate(period * self.period_s, np.random.default_rng([seed, period]))
            period += 1


SUMMARIES: Mapping[ScenarioName, str] = {
    ScenarioName.TRACE: "20 busy minutes of a real conversation trace, arrivals and token lengths as they were",
    ScenarioName.RAMP: "one to five replicas' worth of traffic in 10 minutes, and back",
    ScenarioName.HILL: "one to four replicas' worth of traffic in 2 minutes, and back",
    ScenarioName.STEP: "three replicas' worth, doubled at once after 5 minutes, for 5 minutes",
    ScenarioName.SPIKES: "one replica's worth, tripled for half a start-up in every start-up",
    ScenarioName.ZERO: "5 minutes of traffic, 8 of silence",
    ScenarioName.NIGHT: "a tenth of a replica's worth; after a minute four replicas' worth for 4 minutes, then a tenth",
    ScenarioName.MIX: "constant rate; after 5 minutes short prompts give way to long ones, for 5 minutes",
}


def build_scenario(
    name: ScenarioName, models: Sequence[DemoModel], replica_rates_per_s: Mapping[ModelKey, float], startup_s: float
) -> Scenario:
    """Return the story called `name`.

    Parameters
    ----------
    name
        Which.
    models
        The LLMs that are asked.
    replica_rates_per_s
        One replica's worth, per LLM [1/s], > 0.
    startup_s
        Creation to ready of a replica [s], the period of the spikes.
    """
    requests = read_trace()
    if name is ScenarioName.TRACE:
        return _build_trace(models, requests)
    if name is ScenarioName.MIX:
        return _build_mix_shift(models, replica_rates_per_s, requests)
    period_s, shape, highest_worth = _choose_shape(name, startup_s)

    def iterate(begin_s: float, generator: np.random.Generator) -> Iterator[Arrival]:
        streams = []
        for model in models:
            rate_per_s = replica_rates_per_s[model.key]
            times = _draw_times(rate_per_s, shape, highest_worth, period_s, generator)
            streams.append(_draw_lengths(model.key, begin_s + times, requests, generator))
        return heapq.merge(*streams, key=lambda arrival: arrival.offset_s)

    opening = {key: rate * shape(0.0) for key, rate in replica_rates_per_s.items()}
    return Scenario(name, SUMMARIES[name], period_s, opening, name is ScenarioName.ZERO, iterate)


def _choose_shape(name: ScenarioName, startup_s: float) -> tuple[float, Shape, float]:
    """Return period [s], replicas' worth at an offset within it, and the most of it."""
    if name is ScenarioName.RAMP:
        return 1260.0, lambda offset_s: 1.0 + 4.0 * max(0.0, min(offset_s, 1200.0 - offset_s)) / 600.0, 5.0
    if name is ScenarioName.HILL:
        return 300.0, lambda offset_s: 1.0 + 3.0 * max(0.0, min(offset_s - 30.0, 250.0 - offset_s)) / 110.0, 4.0
    if name is ScenarioName.STEP:
        return 600.0, lambda offset_s: 3.0 if offset_s < 300.0 else 6.0, 6.0
    if name is ScenarioName.SPIKES:
        return 60.0 * startup_s, lambda offset_s: 1.0 if offset_s % startup_s < startup_s / 2 else 3.0, 3.0
    if name is ScenarioName.NIGHT:
        return 900.0, lambda offset_s: 4.0 if 60.0 <= offset_s < 300.0 else 0.1, 4.0
    return 780.0, lambda offset_s: 1.0 if offset_s < 300.0 else 0.0, 1.0


def _build_trace(models: Sequence[DemoModel], requests: Sequence[TracedRequest]) -> Scenario:
    stretch = [r for r in requests if TRACE_BEGIN_S <= r.offset_s < TRACE_BEGIN_S + TRACE_PERIOD_S]
    first_minute = sum(request.offset_s < TRACE_BEGIN_S + 60.0 for request in stretch)

    def iterate(begin_s: float, generator: np.random.Generator) -> Iterator[Arrival]:
        for request, chance in zip(stretch, generator.random(len(stretch)), strict=True):
            bound = 0.0
            for model in models:
                bound += model.trace_share_ratio
                if chance < bound:
                    offset_s = begin_s + request.offset_s - TRACE_BEGIN_S
                    yield Arrival(offset_s, model.key, request.input_tokens, request.output_tokens)
                    break

    opening = {model.key: model.trace_share_ratio * first_minute / 60.0 for model in models}
    return Scenario(ScenarioName.TRACE, SUMMARIES[ScenarioName.TRACE], TRACE_PERIOD_S, opening, False, iterate)


def _build_mix_shift(
    models: Sequence[DemoModel], replica_rates_per_s: Mapping[ModelKey, float], requests: Sequence[TracedRequest]
) -> Scenario:
    middle = float(np.median([request.input_tokens for request in requests]))
    short = [request for request in requests if request.input_tokens <= middle]
    long = [request for request in requests if request.input_tokens > middle]

    def iterate(begin_s: float, generator: np.random.Generator) -> Iterator[Arrival]:
        streams = []
        for model in models:
            for part, kind in enumerate((short, long)):
                times = _draw_times(replica_rates_per_s[model.key], lambda _: 2.0, 2.0, 300.0, generator)
                streams.append(_draw_lengths(model.key, begin_s + 300.0 * part + times, kind, generator))
        return heapq.merge(*streams, key=lambda arrival: arrival.offset_s)

    opening = {key: 2.0 * rate for key, rate in replica_rates_per_s.items()}
    return Scenario(ScenarioName.MIX, SUMMARIES[ScenarioName.MIX], 600.0, opening, False, iterate)


def _draw_times(
    rate_per_s: float, shape: Shape, highest_worth: float, duration_s: float, generator: np.random.Generator
) -> Times:
    """Return the times within `duration_s` [s] of a Poisson process of rate ``rate_per_s * shape(time)``, ascending.

    Source: thinning of a process of the constant rate ``rate_per_s * highest_worth`` (Lewis and Shedler, 1979).
    """
    count = int(generator.poisson(rate_per_s * highest_worth * duration_s))
    times = np.sort(generator.uniform(0.0, duration_s, count))
    kept = generator.uniform(0.0, highest_worth, count) < np.array([shape(float(time_s)) for time_s in times])
    return times[kept]


def _draw_lengths(
    key: ModelKey, times: Times, requests: Sequence[TracedRequest], generator: np.random.Generator
) -> Iterator[Arrival]:
    chosen = generator.integers(0, len(requests), len(times))
    for time_s, index in zip(times, chosen, strict=True):
        request = requests[int(index)]
        yield Arrival(float(time_s), key, request.input_tokens, request.output_tokens)
