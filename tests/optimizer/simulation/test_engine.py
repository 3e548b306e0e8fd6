"""The token engine against closed forms, against an engine written the plain way, and against its invariants."""

from __future__ import annotations

from collections import Counter as Tally
from dataclasses import replace

import numpy as np
import pytest

from optimizer.domain import IterationLaw
from optimizer.errors import InvalidInput
from optimizer.simulation import (
    EngineEvent,
    EngineLimits,
    EngineRequest,
    EventKind,
    NoisyStepTime,
    RequestOutcome,
    TokenEngine,
    make_step_time,
)
from tests.builders.engine_plays import draw_departures, draw_requests, list_figures, play
from tests.builders.naive_engine import NaiveEngine

LAW = IterationLaw(fixed_s=0.01, per_request_s=2e-4, per_context_token_s=3e-7, per_prompt_token_s=5e-5)
ROOMY = EngineLimits(kv_capacity_tokens=1_000_000)
TIGHT = EngineLimits(kv_capacity_tokens=16 * 41, max_running_requests=8, max_batched_tokens=64)


def make_engine(limits: EngineLimits = ROOMY, law: IterationLaw = LAW) -> TokenEngine:
    return TokenEngine(make_step_time(law), limits)


# --- Closed forms -----------------------------------------------------------------------------------------------------


def test_a_lone_request_takes_the_times_of_the_law() -> None:
    engine = make_engine()
    _, [ended] = play(engine, [EngineRequest("r", 5.0, 1000, 50)])
    assert ended.ttft_s == pytest.approx(0.01 + 5e-5 * 1000)
    contexts = [1000 + generated for generated in range(1, 50)]
    assert ended.itl_s == pytest.approx(0.01 + 2e-4 + 3e-7 * sum(contexts) / len(contexts))
    iterations_s = 0.01 + 5e-5 * 1000 + 49 * (0.01 + 2e-4) + 3e-7 * sum(contexts)
    assert ended.ttlt_s == pytest.approx(iterations_s)


def test_a_prompt_beyond_the_token_budget_is_computed_in_chunks() -> None:
    engine = make_engine(replace(ROOMY, max_batched_tokens=300, max_running_requests=10))
    _, [ended] = play(engine, [EngineRequest("r", 0.0, 1000, 1)])
    assert ended.ttft_s == pytest.approx(4 * 0.01 + 5e-5 * 1000)
    assert (engine.counters.iterations, engine.counters.iteration_tokens.count) == (4, 1)
    assert engine.counters.iteration_tokens.total == 1001


def test_cached_tokens_are_not_computed_but_the_last_one_always_is() -> None:
    _, [half] = play(make_engine(), [EngineRequest("r", 0.0, 1000, 1, cached_tokens=600)])
    _, [whole] = play(make_engine(), [EngineRequest("r", 0.0, 1000, 1, cached_tokens=1000)])
    assert half.ttft_s == pytest.approx(0.01 + 5e-5 * 400)
    assert whole.ttft_s == pytest.approx(0.01 + 5e-5)


def test_a_full_batch_iterates_in_the_time_of_the_law() -> None:
    engine = make_engine(replace(ROOMY, max_running_requests=64, max_batched_tokens=8192))
    for number in range(64):
        engine.submit(EngineRequest(f"r{number}", 0.0, 100, 1000))
    engine.advance(1.0)
    assert engine.running_requests == 64
    begin_s = engine.next_event_s
    assert begin_s is not None
    engine.advance(begin_s)
    assert engine.next_event_s is not None
    expected_s = 0.01 + 2e-4 * 64 + 3e-7 * engine.context_tokens
    assert engine.next_event_s - begin_s == pytest.approx(expected_s)


def test_steady_load_meets_the_fluid_model() -> None:
    """ITL = a / (1 - rate * E[work]) for a long run at moderate load, outputs long enough for the mean to rule."""
    rate_per_s, i, o = 4.0, 200, 400
    generator = np.random.default_rng(1)
    arrivals = np.cumsum(generator.exponential(1 / rate_per_s, 2500))
    engine = make_engine()
    play(engine, [EngineRequest(f"r{n}", float(t), i, o) for n, t in enumerate(arrivals)])
    work_s = 5e-5 * i + 2e-4 * (o - 1) + 3e-7 * ((o - 1) * i + o * (o - 1) / 2)
    fluid_s = 0.01 / (1 - rate_per_s * work_s)
    itl = engine.counters.itl
    assert itl.total / itl.count == pytest.approx(fluid_s, rel=0.08)


def play_two_short_of_blocks(**there: int) -> TokenEngine:
    """Play two requests of 304 + 40 tokens in 40 blocks of 16.

    The first takes its 21st block in iteration 18; the second, one behind, has 16 tokens then, and gives way.
    """
    engine = make_engine(replace(TIGHT, max_batched_tokens=2048))
    _, ended = play(engine, [EngineRequest(name, 0.0, 304, 40, **there) for name in ("first", "second")])
    assert [record.preemptions for record in ended] == [0, 1]
    return engine


def test_what_was_transferred_is_lost_with_the_blocks_of_a_request_and_computed_anew() -> None:
    counters = play_two_short_of_blocks(transferred_tokens=304).counters
    assert counters.prefilled_tokens == 1 + 1 + (304 + 16)  # the last of each prompt; then one whole, and its tokens
    assert counters.prefill_hit_tokens == 303 + 303
    assert (counters.cached_tokens, counters.hit_tokens) == (606, 0)  # nothing of it was in the prefix cache


def test_what_the_prefix_cache_holds_outlives_a_preemption() -> None:
    counters = play_two_short_of_blocks(cached_tokens=304).counters
    assert counters.prefilled_tokens == 1 + 1 + (1 + 16)
    assert counters.prefill_hit_tokens == 3 * 303
    assert (counters.cached_tokens, counters.hit_tokens) == (606, 606)


# --- Against the plain engine -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    "limits",
    [
        ROOMY,
        TIGHT,
        replace(TIGHT, block_tokens=1, kv_capacity_tokens=400),
        replace(TIGHT, max_queued_requests=12),
        replace(TIGHT, max_running_requests=2, max_batched_tokens=2),
    ],
    ids=["roomy", "tight", "single-token blocks", "queue limit", "least budget"],
)
@pytest.mark.parametrize("source", ["cached", "transferred"])
def test_every_request_has_the_times_of_the_plain_engine(seed: int, limits: EngineLimits, source: str) -> None:
    requests = draw_requests(seed, 60)
    if source == "transferred":
        requests = [one._replace(transferred_tokens=one.input_tokens - 1) for one in requests]
    departures = draw_departures(seed, requests, 0.3)
    naive = NaiveEngine(LAW, limits)
    naive.play(requests, departures)
    engine = make_engine(limits)
    _, ended = play(engine, requests, departures)
    assert {record.request.request_id for record in ended} == set(naive.requests)
    assert engine.counters.rejected == len(naive.rejected)
    assert engine.counters.preemptions == naive.preemptions
    for record in ended:
        other = naive.requests[record.request.request_id]
        assert record.generated_tokens == len(other.token_times_s)
        assert record.scheduled_s == pytest.approx(other.scheduled_s)
        assert record.first_token_s == pytest.approx(other.token_times_s[0] if other.token_times_s else None)
        assert record.end_s == pytest.approx(other.token_times_s[-1] if other.left_s is None else other.left_s)
        assert record.preemptions == other.preemptions


@pytest.mark.parametrize("seed", range(5))
def test_past_the_kv_capacity_requests_are_preempted_and_all_finish(seed: int) -> None:
    engine = make_engine(TIGHT)
    requests = draw_requests(seed, 80)
    _, ended = play(engine, requests)
    assert engine.counters.preemptions > 0
    assert {record.request for record in ended} == set(requests)
    assert all(record.generated_tokens == record.request.output_tokens for record in ended)
    assert sum(record.preemptions for record in ended) == engine.counters.preemptions


# --- Invariants -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_results_do_not_depend_on_how_often_it_is_driven(seed: int) -> None:
    requests = draw_requests(seed, 60)
    often, seldom = make_engine(TIGHT), make_engine(TIGHT)
    events: list[EngineEvent] = []
    for request in requests:
        for time_s in np.linspace(often.time_s, request.arrival_s, 7):
            events += often.advance(float(time_s))
            _ = often.next_event_s
        often.submit(request)
        seldom.submit(request)
    for time_s in np.linspace(often.time_s, often.time_s + 60, 1000):
        events += often.advance(float(time_s))
    assert [event.ended for event in events if event.ended] == [e.ended for e in seldom.advance(1e6) if e.ended]
    assert list_figures(often) == list_figures(seldom)


@pytest.mark.parametrize("seed", range(6))
def test_events_tell_every_token_once(seed: int) -> None:
    requests = draw_requests(seed, 50)
    departures = draw_departures(seed, requests, 0.2)
    engine, told = make_engine(TIGHT), Tally[str]()
    events, ended = play(engine, requests, departures)
    for event in events:
        told[event.request_id] += event.tokens
    for record in ended:
        if record.outcome is RequestOutcome.FINISHED:
            assert told[record.request.request_id] == record.request.output_tokens
    firsts = [event.request_id for event in events if event.kind is EventKind.FIRST_TOKEN]
    assert len(firsts) == len(set(firsts))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("limits", [ROOMY, TIGHT], ids=["roomy", "tight"])
def test_counters_keep_the_identities_of_a_real_engine(seed: int, limits: EngineLimits) -> None:
    """While nobody leaves; the same relations hold on pages of vLLM 0.32."""
    engine = make_engine(limits)
    for request in draw_requests(seed, 60):
        engine.submit(request)
        counters = engine.counters
        assert counters.itl.count == counters.generated_tokens - counters.ttft.count
        computed = counters.prompt_tokens - counters.cached_tokens
        assert counters.iteration_tokens.total == computed + counters.generated_tokens
        assert counters.accepted == counters.finished + engine.running_requests + engine.waiting_requests
        assert counters.finished == counters.ttlt.count == counters.input_lengths.count == counters.mean_itl.count
    engine.advance(1e6)
    counters = engine.counters
    assert counters.ttft.count == counters.finished == 60
    assert counters.prompt_tokens == counters.queried_tokens == counters.input_lengths.total
    assert counters.cached_tokens == counters.hit_tokens
    assert counters.generated_tokens == counters.output_lengths.total
    assert engine.kv_used_ratio == 0


def test_first_tokens_are_those_finished_and_running_without_a_chunk_in_progress() -> None:
    engine = make_engine()
    for request in draw_requests(3, 40):
        engine.submit(request)
    engine.advance(engine.time_s + 0.2)
    assert engine.waiting_requests == 0
    assert engine.counters.ttft.count == engine.counters.finished + engine.running_requests


def test_equal_seeds_give_equal_runs_and_others_differ() -> None:
    def run(seed: int) -> list[object]:
        step_time = NoisyStepTime(make_step_time(LAW), 0.2, np.random.default_rng(seed))
        engine = TokenEngine(step_time, TIGHT)
        play(engine, draw_requests(1, 40))
        return list_figures(engine)

    assert run(1) == run(1)
    assert run(1) != run(2)


# --- Clients that leave, and refusals ---------------------------------------------------------------------------------


def test_a_client_that_leaves_moves_no_counter_of_finished_requests() -> None:
    engine = make_engine(replace(ROOMY, max_running_requests=1))
    engine.submit(EngineRequest("running", 0.0, 10, 1000))
    engine.submit(EngineRequest("queued", 0.0, 10, 1000))
    engine.advance(1.0)
    assert (engine.running_requests, engine.waiting_requests) == (1, 1)
    running, queued = engine.cancel("running", 1.0), engine.cancel("queued", 1.0)
    assert running is not None
    assert queued is not None
    assert running.outcome is queued.outcome is RequestOutcome.LEFT
    assert running.ttft_s is not None
    assert (queued.ttft_s, queued.generated_tokens) == (None, 0)
    assert (engine.running_requests, engine.waiting_requests, engine.kv_used_ratio) == (0, 0, 0)
    counters = engine.counters
    assert (counters.finished, counters.ttlt.count, counters.ttft.count, counters.left) == (0, 0, 1, 2)
    generated = counters.generated_tokens
    engine.advance(10.0)
    assert engine.next_event_s is None
    assert engine.counters.generated_tokens == generated == running.generated_tokens


def test_the_place_of_a_client_that_left_goes_to_the_queue_at_the_next_iteration() -> None:
    engine = make_engine(replace(ROOMY, max_running_requests=1))
    engine.submit(EngineRequest("first", 0.0, 10, 1000))
    engine.submit(EngineRequest("second", 0.0, 10, 2))
    engine.advance(1.0)
    engine.cancel("first", 1.0)
    end_s = engine.next_event_s
    assert end_s is not None
    [ended] = [event.ended for event in engine.advance(5.0) if event.ended]
    assert ended.scheduled_s == end_s


def test_an_unknown_request_cannot_leave() -> None:
    assert make_engine().cancel("nobody", 1.0) is None


def test_the_queue_limit_counts_batch_and_queue_together() -> None:
    engine = make_engine(replace(ROOMY, max_running_requests=4, max_queued_requests=10))
    taken = [engine.submit(EngineRequest(f"r{n}", 0.0, 10, 100)) for n in range(18)]
    assert taken == [True] * 10 + [False] * 8
    assert (engine.counters.accepted, engine.counters.rejected) == (10, 8)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (EngineRequest("r", 0.0, 0, 1), "input_tokens must be >= 1"),
        (EngineRequest("r", 0.0, 1, 0), "output_tokens must be >= 1"),
        (EngineRequest("r", 0.0, 600, 41), "<= 640 "),
        (EngineRequest("r", -1.0, 1, 1), "does not run backwards"),
        (EngineRequest("there", 1.0, 1, 1), "unique"),
    ],
)
def test_wrong_requests_are_refused_by_name(request_: EngineRequest, message: str) -> None:
    engine = make_engine(TIGHT)
    engine.submit(EngineRequest("there", 0.0, 10, 10))
    with pytest.raises(InvalidInput, match=message):
        engine.submit(request_)


def test_a_request_as_long_as_the_cache_still_finishes() -> None:
    engine = make_engine(TIGHT)
    requests = [EngineRequest(f"r{n}", 0.0, 320, 320) for n in range(3)]
    _, ended = play(engine, requests)
    assert len(ended) == 3
    assert engine.counters.preemptions > 0


@pytest.mark.parametrize(
    "change",
    [{"max_running_requests": 0}, {"max_batched_tokens": 7}, {"max_queued_requests": 0}, {"kv_capacity_tokens": 31}],
)
def test_limits_out_of_bounds_are_a_wrong_call(change: dict[str, int]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(change))):
        make_engine(replace(TIGHT, **change))
