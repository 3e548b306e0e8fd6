"""What an engine keeps: of requests that ended, nothing but counts."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np

from optimizer.domain import IterationLaw
from optimizer.simulation import EngineLimits, EngineRequest, NoisyStepTime, TokenEngine, make_step_time
from optimizer.simulation.ticks import NS_PER_S

LAW = IterationLaw(fixed_s=0.01, per_request_s=2e-4, per_context_token_s=3e-7, per_prompt_token_s=5e-5)
ENGINES, ROUNDS, REQUESTS = 100, 5, 250
ROUND_S = 1800


def test_engines_under_thin_traffic_keep_their_memory_flat() -> None:
    """Half an hour after half an hour; the first ones fill what is kept, such as the drawn noise."""
    step_time, limits = make_step_time(LAW), EngineLimits(400_000)
    engines = [
        TokenEngine(NoisyStepTime(step_time, 0.1, np.random.default_rng(number)), limits, tells_tokens=False)
        for number in range(ENGINES)
    ]
    generator = np.random.default_rng(3)
    held_bytes: list[int] = []
    tracemalloc.start()
    try:
        for start_s in range(0, ROUNDS * ROUND_S, ROUND_S):
            for number in range(REQUESTS):
                engine = engines[int(generator.integers(ENGINES))]
                input_tokens, output_tokens = (int(length) for length in generator.integers(1, (2000, 400)))
                arrival_s = start_s + 5.0 * number
                engine.submit(EngineRequest(f"r{start_s}-{number}", arrival_s, input_tokens, output_tokens))
            ended = sum(len(engine.advance_ns((start_s + ROUND_S) * NS_PER_S)) for engine in engines)
            assert ended == REQUESTS
            gc.collect()
            held_bytes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    per_request_bytes = (held_bytes[-1] - held_bytes[2]) / (2 * REQUESTS)
    assert per_request_bytes < 16.0, held_bytes  # a number that grew a digit; a request kept would be hundreds
