"""An engine that leaps between changes of its batch against the same engine made to iterate: equal, not nearly so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from optimizer.domain import IterationLaw, IterationTable
from optimizer.simulation import (
    EngineLimits,
    EngineRequest,
    EventKind,
    HistogramEdges,
    NoisyStepTime,
    Steps,
    StepTime,
    TokenEngine,
    make_step_time,
)
from tests.builders.engine_plays import draw_departures, draw_requests, list_figures, play
from tests.builders.single_steps import SingleSteps

LAW = IterationLaw(fixed_s=0.01, per_request_s=2e-4, per_context_token_s=3e-7, per_prompt_token_s=5e-5)
STEEP = IterationLaw(fixed_s=0.003, per_request_s=1e-3, per_context_token_s=3e-5, per_prompt_token_s=1e-5)
TABLE = IterationTable(
    batches=(1.0, 3.0, 7.0),
    contexts_tokens=(20.0, 75.5, 110.0, 160.0),
    decode_s=((0.010, 0.011, 0.013, 0.02), (0.012, 0.012, 0.019, 0.03), (0.02, 0.02, 0.05, 0.08)),
    prompts_tokens=(16.0, 64.0, 100.0),
    prefill_s=(0.011, 0.013, 0.02),
)
ROOMY = EngineLimits(kv_capacity_tokens=1_000_000)
TIGHT = EngineLimits(kv_capacity_tokens=16 * 41, max_running_requests=8, max_batched_tokens=64)
LIMITS = {
    "roomy": ROOMY,
    "tight": TIGHT,
    "single-token blocks": replace(TIGHT, block_tokens=1, kv_capacity_tokens=400),
    "queue limit": replace(TIGHT, max_queued_requests=12),
    "least budget": replace(TIGHT, max_running_requests=2, max_batched_tokens=2),
    "few places": replace(ROOMY, max_running_requests=3),
}
STEP_TIMES: dict[str, Callable[[], StepTime]] = {
    "law": lambda: make_step_time(LAW),
    "steep law": lambda: make_step_time(STEEP),
    "table": lambda: make_step_time(TABLE, 1.37),
    "noise": lambda: NoisyStepTime(make_step_time(TABLE), 0.3, np.random.default_rng(9)),
}


class CountingSteps:
    """A step time that counts how often it is asked."""

    def __init__(self, step_time: StepTime) -> None:
        self._step_time = step_time
        self.plans = 0

    def plan_steps(self, decoding_requests: int, context_tokens: int, prompt_tokens: int, iteration: int) -> Steps:
        self.plans += 1
        return self._step_time.plan_steps(decoding_requests, context_tokens, prompt_tokens, iteration)


def list_state(engine: TokenEngine) -> list[object]:
    return [
        *list_figures(engine),
        engine.running_requests,
        engine.waiting_requests,
        engine.kv_used_tokens,
        engine.context_tokens,
        engine.next_event_s,
    ]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("make", STEP_TIMES.values(), ids=STEP_TIMES)
def test_leaping_counts_and_records_what_iterating_does(
    make: Callable[[], StepTime], limits: EngineLimits, seed: int
) -> None:
    requests = draw_requests(seed, 80, rate_per_s=(2.0, 8.0, 20.0, 60.0)[seed])
    departures = draw_departures(seed, requests, 0.2)
    leaping, iterating = TokenEngine(make(), limits), TokenEngine(SingleSteps(make()), limits)
    (_, ended), (_, expected) = play(leaping, requests, departures), play(iterating, requests, departures)
    assert ended == expected
    assert list_figures(leaping) == list_figures(iterating)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("make", STEP_TIMES.values(), ids=STEP_TIMES)
def test_in_the_middle_of_a_leap_everything_stands_as_if_it_iterated(make: Callable[[], StepTime], seed: int) -> None:
    limits = LIMITS["tight"]
    leaping, iterating = TokenEngine(make(), limits), TokenEngine(SingleSteps(make()), limits)
    looks = np.random.default_rng(seed).uniform(0.0, 12.0, 60).tolist()
    happenings: list[tuple[float, EngineRequest | None]] = [(r.arrival_s, r) for r in draw_requests(seed, 40, 6.0)]
    for time_s, request in sorted([*happenings, *((look_s, None) for look_s in looks)], key=lambda pair: pair[0]):
        for engine in (leaping, iterating):
            if request is None:
                engine.advance(time_s)
            else:
                engine.submit(request)
        if request is None:
            assert list_state(leaping) == list_state(iterating)


@pytest.mark.parametrize("seed", range(4))
def test_until_the_next_change_nothing_but_tokens_comes(seed: int) -> None:
    engine = TokenEngine(make_step_time(LAW), TIGHT)
    leaps = 0
    for request in draw_requests(seed, 60):
        engine.submit(request)
    while (change_ns := engine.next_change_ns) is not None:
        engine.advance_ns(engine.time_ns)
        before = engine.running_requests, engine.waiting_requests, engine.counters.iterations
        events = engine.advance_ns(change_ns - 1)
        assert {event.kind for event in events} <= {EventKind.TOKENS}
        assert (engine.running_requests, engine.waiting_requests) == before[:2]
        leaps += engine.counters.iterations > before[2]
        assert engine.next_change_ns == change_ns
        engine.advance_ns(change_ns)
    assert engine.counters.finished == 60
    assert leaps > 10


def test_a_request_that_cannot_be_admitted_does_not_cut_the_leap() -> None:
    engine = TokenEngine(make_step_time(LAW), replace(ROOMY, max_running_requests=1))
    engine.submit(EngineRequest("long", 0.0, 10, 1000))
    engine.advance(1.0)
    change_ns = engine.next_change_ns
    engine.submit(EngineRequest("next", 1.0, 10, 10))
    assert engine.next_change_ns == change_ns


def test_a_request_that_can_be_admitted_cuts_it_at_the_end_of_the_running_iteration() -> None:
    engine = TokenEngine(make_step_time(LAW), ROOMY)
    engine.submit(EngineRequest("long", 0.0, 10, 1000))
    engine.advance(1.0)
    end_s = engine.next_event_s
    engine.submit(EngineRequest("next", 1.0, 10, 1))
    assert engine.next_event_s == end_s
    [ended] = [event.ended for event in engine.advance(2.0) if event.ended]
    assert ended.scheduled_s == end_s


def test_under_thin_traffic_it_plans_a_few_times_a_request() -> None:
    """Not once an iteration: so a day of many replicas is played in seconds."""
    planned = CountingSteps(make_step_time(LAW))
    engine = TokenEngine(planned, ROOMY)
    play(engine, draw_requests(1, 300, rate_per_s=0.5, longest=800))
    assert planned.plans < 4 * 300
    assert engine.counters.iterations > 100 * 300


def test_an_engine_that_does_not_tell_tokens_tells_the_same_ends() -> None:
    requests = draw_requests(5, 60)
    telling, silent = (
        TokenEngine(make_step_time(LAW), TIGHT),
        TokenEngine(make_step_time(LAW), TIGHT, tells_tokens=False),
    )
    (_, expected), (events, ended) = play(telling, requests), play(silent, requests)
    assert ended == expected
    assert {event.kind for event in events} == {EventKind.FINISHED}
    assert list_figures(silent) == list_figures(telling)


@pytest.mark.parametrize("start_s", [0.0, 86_400.0 * 30, 1_790_000_000.123])
def test_driving_to_the_next_event_always_gets_on(start_s: float) -> None:
    """At the times of day that clocks show, seconds are coarser than nanoseconds."""
    engine = TokenEngine(make_step_time(LAW), ROOMY, start_s)
    engine.submit(EngineRequest("r", start_s + 0.25, 100, 500))
    while (event_s := engine.next_event_s) is not None:
        iterations = engine.counters.iterations
        engine.advance(event_s)
        assert engine.counters.iterations > iterations
    assert engine.counters.iterations == 500
    assert engine.counters.ttlt.total == pytest.approx(0.01 * 500 + 2e-4 * 499 + 5e-3 + 3e-7 * 499 * 350, abs=1e-6)


def test_iterations_of_one_leap_fall_into_the_buckets_of_each() -> None:
    edges = HistogramEdges(itl_s=tuple(0.005005 + 0.0011 * step for step in range(12)))
    engine = TokenEngine(make_step_time(STEEP), ROOMY, edges=edges)
    engine.submit(EngineRequest("r", 0.0, 1, 600))
    engine.advance(100.0)
    times_s = np.array([0.003 + 1e-3 + 3e-5 * (1 + made) for made in range(1, 600)])
    expected, _ = np.histogram(times_s, [-np.inf, *edges.itl_s, np.inf])
    assert engine.counters.itl.counts == expected.tolist()
    assert engine.counters.itl.total == pytest.approx(times_s.sum())


@pytest.mark.parametrize("seed", range(20))
def test_sums_and_counts_of_steps_are_those_of_a_loop(seed: int) -> None:
    generator = np.random.default_rng(seed)
    first, growth = int(generator.integers(1, 1000)), int(generator.integers(0, 50)) * (seed % 3 > 0)
    steps = Steps(first, growth, 100)
    times = [first + number * growth for number in range(100)]
    ends = np.cumsum(times).tolist()
    assert [steps.sum_ticks(count) for count in range(1, 101)] == ends
    assert steps.skip(7) == Steps(times[7], growth, 93)
    for span in (0, first - 1, first, *ends[:50:7], *(end - 1 for end in ends[:50:5]), ends[80] + 1):
        assert steps.count_ended(span) == sum(end <= span for end in ends)
    for longest in (0, first - 1, times[3], times[3] - 1, times[50] + 1):
        assert min(steps.count_up_to(longest), 100) == sum(time <= longest for time in times)
