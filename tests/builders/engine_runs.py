"""Drives one token engine with random traffic and tells what every request saw."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from optimizer.domain import LengthDistribution, PerformanceProfile, Workload
from optimizer.simulation.engine import TokenEngine
from optimizer.simulation.limits import EngineLimits
from optimizer.simulation.request import EndedRequest, EngineRequest
from optimizer.simulation.step_time import make_step_time

Floats = npt.NDArray[np.float64]


class Seen(NamedTuple):
    """TTFT, ITL and TTLT of each request [s]; an answer of one token has an ITL of 0. And preemptions of all."""

    ttft_s: Floats
    itl_s: Floats
    ttlt_s: Floats
    preemptions: int


def run_engine(profile: PerformanceProfile, workload: Workload, rate_per_s: float, *, requests: int, seed: int) -> Seen:
    """Offer Poisson traffic with lognormal lengths at `rate_per_s`; the first tenth warms up and is left out."""
    assert profile.law is not None
    assert profile.kv_capacity_tokens is not None
    limits = EngineLimits(int(profile.kv_capacity_tokens))
    engine = TokenEngine(make_step_time(profile.law), limits)
    generator = np.random.default_rng(seed)
    longest = limits.kv_capacity_tokens // 3
    arrivals_s = np.cumsum(generator.exponential(1.0 / rate_per_s, requests))
    inputs = _draw(generator, workload.input_lengths, requests, longest)
    outputs = _draw(generator, workload.output_lengths, requests, longest)
    ended: list[EndedRequest] = []
    for number, (arrival_s, input_tokens, output_tokens) in enumerate(zip(arrivals_s, inputs, outputs, strict=True)):
        engine.submit(EngineRequest(str(number), float(arrival_s), int(input_tokens), int(output_tokens)))
        ended += [event.ended for event in engine.advance(float(arrival_s)) if event.ended]
    while (next_s := engine.next_event_s) is not None:
        ended += [event.ended for event in engine.advance(next_s + 10.0) if event.ended]
    assert len(ended) == requests
    kept = [record for record in ended if record.request.arrival_s >= arrivals_s[requests // 10]]
    return Seen(
        np.array([record.ttft_s for record in kept], dtype=np.float64),
        np.array([record.itl_s or 0.0 for record in kept], dtype=np.float64),
        np.array([record.ttlt_s for record in kept], dtype=np.float64),
        engine.counters.preemptions,
    )


def _draw(generator: np.random.Generator, lengths: LengthDistribution, requests: int, longest: int) -> Floats:
    sigma2 = math.log(lengths.mean_square_tokens2 / lengths.mean_tokens**2)
    drawn = generator.lognormal(math.log(lengths.mean_tokens) - sigma2 / 2.0, math.sqrt(sigma2), requests)
    return np.asarray(np.clip(np.rint(drawn), 1, longest), dtype=np.float64)
