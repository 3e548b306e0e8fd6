"""What cannot be lost in a token engine, under any load: tokens, requests, and Little's law. Exact, no statistics."""

from __future__ import annotations

import pytest

from optimizer.domain import IterationLaw
from optimizer.simulation import EngineLimits, RequestOutcome, TokenEngine, make_step_time
from optimizer.simulation.ticks import to_ns
from tests.builders.engine_plays import draw_departures, draw_requests, play

LAW = IterationLaw(fixed_s=0.01, per_request_s=2e-4, per_context_token_s=3e-7, per_prompt_token_s=5e-5)
LIMITS = {
    "roomy": EngineLimits(1_000_000),
    "short of blocks": EngineLimits(16 * 41, max_running_requests=8, max_batched_tokens=64),
    "one place": EngineLimits(1_000_000, max_running_requests=1),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
def test_little_s_law_holds_to_the_nanosecond(limits: EngineLimits, seed: int) -> None:
    """From empty to empty, the time integral of the requests there is the sum of the times they stayed."""
    engine = TokenEngine(make_step_time(LAW), limits, tells_tokens=False)
    arrivals = draw_requests(seed, 300, rate_per_s=(1.0, 10.0, 100.0)[seed])
    integral_ns, last_ns, stayed_ns = 0, 0, 0

    def move(now_ns: int) -> None:
        nonlocal integral_ns, last_ns, stayed_ns
        there = engine.running_requests + engine.waiting_requests
        integral_ns, last_ns = integral_ns + there * (now_ns - last_ns), now_ns
        ended = [event.ended for event in engine.advance_ns(now_ns) if event.ended]
        stayed_ns += sum(to_ns(record.end_s) - to_ns(record.request.arrival_s) for record in ended)

    for request in arrivals:
        arrival_ns = to_ns(request.arrival_s)
        while (change_ns := engine.next_change_ns) is not None and change_ns <= arrival_ns:
            move(change_ns)
        move(arrival_ns)
        engine.submit(request)
    while (change_ns := engine.next_change_ns) is not None:
        move(change_ns)
    assert engine.counters.finished == 300
    assert integral_ns == stayed_ns


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
def test_every_token_is_accounted_for(limits: EngineLimits, seed: int) -> None:
    requests = draw_requests(seed, 200, rate_per_s=20.0)
    departures = draw_departures(seed, requests, 0.3)
    engine = TokenEngine(make_step_time(LAW), limits)
    _, ended = play(engine, requests, departures)
    counters = engine.counters
    finished = [record for record in ended if record.outcome is RequestOutcome.FINISHED]
    assert counters.accepted == len(requests) == len(ended) == counters.finished + counters.left
    assert counters.generated_tokens == sum(record.generated_tokens for record in ended)
    assert all(record.generated_tokens == record.request.output_tokens for record in finished)
    assert counters.output_lengths.total == sum(record.generated_tokens for record in finished)
    began = [record.request for record in ended if record.first_token_s is not None]
    assert counters.prompt_tokens == sum(request.input_tokens for request in began)
    assert counters.ttft.count == len(began)
    assert engine.kv_used_tokens == engine.context_tokens == 0


@pytest.mark.parametrize("seed", range(3))
def test_without_preemption_every_prompt_token_is_computed_or_found_once(seed: int) -> None:
    requests = draw_requests(seed, 200)
    engine = TokenEngine(make_step_time(LAW), LIMITS["roomy"])
    play(engine, requests)
    counters = engine.counters
    assert counters.preemptions == 0
    assert counters.prefilled_tokens + counters.prefill_hit_tokens == sum(request.input_tokens for request in requests)
    assert counters.itl.count == sum(request.output_tokens - 1 for request in requests) == counters.decoded_tokens


@pytest.mark.parametrize("seed", range(3))
def test_the_engine_is_busy_for_just_the_iterations_it_counts(seed: int) -> None:
    """One place: iterations of a law that knows no batch add up to iterations times their time, plus the prompts."""
    law = IterationLaw(fixed_s=0.01, per_request_s=0.0, per_context_token_s=0.0, per_prompt_token_s=5e-5)
    requests = draw_requests(seed, 200, rate_per_s=1000.0)
    engine = TokenEngine(make_step_time(law), LIMITS["one place"])
    _, ended = play(engine, requests)
    busy_s = 0.01 * engine.counters.iterations + 5e-5 * engine.counters.prefilled_tokens
    assert max(record.end_s for record in ended) - requests[0].arrival_s == pytest.approx(busy_s)
