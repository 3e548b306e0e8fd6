"""The least work of a request against the token engine, and against points of a measured table."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest

from optimizer.domain import IterationLaw, IterationTable
from optimizer.errors import InvalidInput
from optimizer.performance import MeasuredIterationTime
from optimizer.simulation import EngineLimits, EngineRequest, TokenEngine, make_step_time
from optimizer.simulation.bounds import AskedRequests, ReplicaWork, fit_law_below, make_rate_work, make_replica_work

LAW = IterationLaw(0.010, 0.0002, 1e-7, 2e-5)
TABLE = IterationTable(
    batches=(1.0, 8.0, 32.0, 128.0),
    contexts_tokens=(256.0, 1024.0, 4096.0),
    decode_s=((0.010, 0.0101, 0.0108), (0.011, 0.0115, 0.014), (0.013, 0.015, 0.022), (0.02, 0.03, 0.06)),
    prompts_tokens=(128.0, 512.0, 2048.0, 8192.0),
    prefill_s=(0.012, 0.022, 0.06, 0.25),
)


def make_asked(lengths: list[tuple[int, int]], cached_tokens: int = 0) -> AskedRequests:
    count = len(lengths)
    inputs = np.array([i for i, _ in lengths], dtype=np.float64)
    endless = np.full(count, np.inf)
    decode = np.array([o - 1 for _, o in lengths], dtype=np.float64)
    prompts = np.maximum(inputs - cached_tokens, 1.0)
    return AskedRequests(np.zeros(count), inputs, prompts, decode, endless, endless, endless)


def serve_all(
    performance: IterationLaw | IterationTable, limits: EngineLimits, lengths: list[tuple[int, int]]
) -> float:
    """Return how long an engine takes for requests that all come at once [s]."""
    engine = TokenEngine(make_step_time(performance), limits)
    for number, (input_tokens, output_tokens) in enumerate(lengths):
        engine.submit(EngineRequest(str(number), 0.0, input_tokens, output_tokens))
    last_s = 0.0
    while engine.next_event_s is not None:
        last_s = engine.next_event_s
        engine.advance(last_s)
    return last_s


@pytest.mark.parametrize("performance", [LAW, TABLE], ids=["law", "table"])
@pytest.mark.parametrize(
    "limits",
    [
        EngineLimits(kv_capacity_tokens=400_000),
        EngineLimits(kv_capacity_tokens=20_000),
        EngineLimits(kv_capacity_tokens=400_000, max_running_requests=4),
        EngineLimits(kv_capacity_tokens=400_000, max_running_requests=64, max_batched_tokens=64),
    ],
    ids=["roomy", "little memory", "small batch", "small chunk"],
)
def test_no_engine_serves_in_less_than_the_work_it_was_given(
    performance: IterationLaw | IterationTable, limits: EngineLimits
) -> None:
    rng = random.Random(5)
    for longest_prompt, longest_output, count in ((1500, 300, 40), (4000, 3, 40), (20, 400, 80), (1, 1, 3)):
        lengths = [(rng.randint(1, longest_prompt), rng.randint(1, longest_output)) for _ in range(count)]
        asked = make_asked(lengths)
        work = make_replica_work(performance, limits, asked)
        taken_s = serve_all(performance, limits, lengths)
        least_s = float(work.compute_whole_s(asked).sum())
        assert least_s <= taken_s
        if performance is LAW and limits.max_running_requests == 4 and count > 3:
            assert least_s > 0.7 * taken_s


def test_a_full_batch_of_alike_requests_takes_hardly_more_than_its_work() -> None:
    limits = EngineLimits(kv_capacity_tokens=4_000_000, max_running_requests=64, max_batched_tokens=2048)
    lengths = [(100, 400)] * 64 * 6
    asked = make_asked(lengths)
    least_s = float(make_replica_work(LAW, limits, asked).compute_whole_s(asked).sum())
    assert 0.97 * serve_all(LAW, limits, lengths) < least_s <= serve_all(LAW, limits, lengths)


def test_those_served_at_the_pace_promised_take_no_more_than_the_time() -> None:
    rng = random.Random(6)
    limits = EngineLimits(kv_capacity_tokens=400_000)
    closest = 0.0
    for itl_s in (0.02, 0.03, 0.05):
        for wave, pause_s in ((1, 0.2), (20, 4.0), (60, 10.0), (150, 16.0)):
            arrivals = [(pause_s * number, 300, rng.randint(1, 300)) for number in range(4) for _ in range(wave)]
            ended, taken_s = serve_arrivals(limits, arrivals)
            met = [number for number, mean_itl_s in ended.items() if mean_itl_s <= itl_s]
            if not met:
                continue
            asked = replace(make_asked([arrivals[number][1:] for number in met]), itl_s=np.full(len(met), itl_s))
            least_s = float(make_replica_work(LAW, limits, asked).compute_whole_s(asked).sum())
            assert least_s <= taken_s
            closest = max(closest, least_s / taken_s)
    assert closest > 0.7


def test_those_served_at_paces_of_their_own_with_prompts_of_all_lengths_take_no_more_than_the_time() -> None:
    rng = random.Random(16)
    limits = EngineLimits(kv_capacity_tokens=400_000)
    closest = 0.0
    for itl_s in (0.02, 0.04):
        for wave, pause_s in ((40, 5.0), (90, 12.0)):
            arrivals = [
                (pause_s * number, rng.choice([5, 100, 6000]), rng.randint(50, 250))
                for number in range(3)
                for _ in range(wave)
            ]
            promised_s = [rng.choice([itl_s, 0.6 * itl_s, np.inf]) for _ in arrivals]
            ended, taken_s = serve_arrivals(limits, arrivals)
            met = [number for number, mean_itl_s in ended.items() if mean_itl_s <= promised_s[number]]
            asked = replace(
                make_asked([arrivals[number][1:] for number in met]),
                itl_s=np.array([promised_s[number] for number in met]),
            )
            least_s = float(make_replica_work(LAW, limits, asked).compute_whole_s(asked).sum())
            assert least_s <= taken_s
            closest = max(closest, least_s / taken_s)
    assert closest > 0.5


def test_a_promised_pace_finds_the_batch_at_which_a_table_takes_it() -> None:
    """Alike, context 1024: 11.5 ms at batch 8, 15 ms at 32, so 14.1 ms at 25 or 26."""
    asked = make_asked([(1000, 49)] * 10)
    limits = EngineLimits(kv_capacity_tokens=4_000_000)
    paced = replace(asked, itl_s=np.full(10, 0.0141))
    tokens_s = []
    for one in (asked, paced):
        work = make_replica_work(TABLE, limits, one)
        whole_s = work.compute_whole_s(one) - work.per_prompt_token_s * one.prompt_tokens
        tokens_s.append(float(whole_s[0]) / 48.0)
    assert tokens_s[1] > 1.25 * tokens_s[0]
    assert 0.75 * 0.0141 / 26 < tokens_s[1] <= 0.0141 / 25


@pytest.mark.parametrize("ratio", [0.25, 0.999, 2.0])
def test_the_work_at_a_pace_hardly_slower_than_an_iteration_follows_its_closed_form(ratio: float) -> None:
    """A token takes b and, of the fixed part that S - a of each iteration carries, the share a*b/(S - a)."""
    pace_s, limits = 0.0101, EngineLimits(kv_capacity_tokens=40_000_000, max_batched_tokens=1_000_000)
    fixed_s, own_s, prompt_s = LAW.fixed_s * ratio, LAW.per_request_s * ratio, 1e-4
    asked = replace(make_asked([(5000, 101)] * 5), itl_s=np.full(5, pace_s))
    work = make_replica_work(IterationLaw(fixed_s, own_s, 0.0, prompt_s), limits, asked)
    tokens_s = work.compute_whole_s(asked) - work.per_prompt_token_s * 5000.0
    if ratio > 1.0:  # nobody keeps that pace, so other counts are taken
        assert float(tokens_s.max()) < 200.0 * own_s
        return
    expected_s = 100.0 * own_s * (1.0 + fixed_s / (pace_s - fixed_s))
    assert tokens_s == pytest.approx(expected_s, rel=1e-3)
    assert bool((tokens_s < expected_s).all())


@pytest.mark.parametrize("itl_s", [np.inf, 0.0101, 0.05])
@pytest.mark.parametrize("place", range(4))
def test_a_law_with_one_part_only_gives_work_that_an_engine_can_do(place: int, itl_s: float) -> None:
    parts = [part if number == place else 0.0 for number, part in enumerate((0.01, 1e-4, 1e-6, 1e-5))]
    law, limits = IterationLaw(*parts), EngineLimits(kv_capacity_tokens=400_000)
    lengths = [(100, 20)] * 30
    asked = replace(make_asked(lengths), itl_s=np.full(30, itl_s))
    least_s = float(make_replica_work(law, limits, asked).compute_whole_s(asked).sum())
    assert least_s <= (serve_all(law, limits, lengths) if place == 0 else 1e9)
    if place in (0, 3):  # who computes a prompt for nothing may be preempted for ever
        assert least_s > 0.0
        alone = replace(asked, decode_tokens=np.zeros(30))
        assert float(make_replica_work(law, limits, alone).compute_whole_s(alone).sum()) > 0.0


def serve_arrivals(limits: EngineLimits, arrivals: list[tuple[float, int, int]]) -> tuple[dict[int, float], float]:
    """Return the mean ITL of every request [s], by number, and how long the engine was busy [s]."""
    engine = TokenEngine(make_step_time(LAW), limits)
    ended: dict[int, float] = {}
    busy_s, times_s = 0.0, [arrival_s for arrival_s, _, _ in arrivals]
    for number, (arrival_s, input_tokens, output_tokens) in enumerate([*arrivals, (1e6, 1, 1)]):
        while engine.next_event_s is not None and engine.next_event_s <= arrival_s:
            next_s = engine.next_event_s
            busy_s += next_s - max(engine.time_s, 0.0)
            for event in engine.advance(next_s):
                if event.ended is not None:
                    ended[int(event.request_id)] = event.ended.itl_s or 0.0
        if number < len(times_s):
            busy_s += arrival_s - engine.time_s if engine.next_event_s is not None else 0.0
            engine.submit(EngineRequest(str(number), arrival_s, input_tokens, output_tokens))
            engine.advance(arrival_s)
    return ended, busy_s


def test_what_a_prefix_cache_could_hold_is_no_work() -> None:
    lengths = [(1000, 10)] * 5
    limits = EngineLimits(kv_capacity_tokens=400_000)
    cold, warm = make_asked(lengths), make_asked(lengths, cached_tokens=900)
    whole_s = make_replica_work(LAW, limits, cold).compute_whole_s(cold)
    assert np.all(make_replica_work(LAW, limits, warm).compute_whole_s(warm) < 0.5 * whole_s)


def test_the_fitted_law_is_nowhere_above_the_table() -> None:
    measured = MeasuredIterationTime(TABLE)
    rng = random.Random(9)
    lengths = ((0.5, 200.0, 2e5), (1.0, 10.0, 100.0), (0.01, 0.0, 0.0), (0.1, 500.0, 4e6))
    for (iterations, decode, read), fixed_s in itertools.product(lengths, (None, 0.001, 0.006, 0.0099)):
        law = fit_law_below(TABLE, iterations=iterations, decode_tokens=decode, context_read=read, fixed_s=fixed_s)
        for _ in range(300):
            batch, context = rng.choice([0, 1, 3, 17, 90, 128, 250]), rng.uniform(1.0, 9000.0)
            prompt = rng.choice([0, 1, 100, 600, 3000, 12_000])
            if batch + prompt == 0:
                continue
            total = batch * context
            found_s = law.fixed_s + law.per_request_s * batch + law.per_context_token_s * total
            found_s += law.per_prompt_token_s * prompt
            assert found_s <= measured.compute_iteration_s(batch, total, prompt) * (1.0 + 1e-9)


def test_a_known_rate_is_work_of_the_request_as_a_whole() -> None:
    asked = make_asked([(10, 10), (1000, 10)])
    assert make_rate_work(4.0).compute_whole_s(asked).tolist() == [0.25, 0.25]
    with pytest.raises(InvalidInput, match="capacity_per_s"):
        make_rate_work(0.0)


def test_work_that_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidInput, match="ceiling_ratio"):
        ReplicaWork(per_request_s=1.0, ceiling_ratio=1.1)
    with pytest.raises(InvalidInput, match="work"):
        ReplicaWork()


def test_what_is_computed_anew_after_a_preemption_may_be_cheaper_than_decoding_it_and_counts_as_that() -> None:
    """Short or cached prompts before long contexts, memory for hardly more than one: many tokens come by prefill."""
    rng, preempted, cheaper = random.Random(3), 0, 0
    for _ in range(150):
        law = IterationLaw(rng.choice([1e-6, 1e-3]), rng.choice([1e-5, 1e-3, 1e-2]), rng.choice([0.0, 1e-6]), 1e-5)
        limits = EngineLimits(rng.choice([96, 160, 400]), block_tokens=16, max_running_requests=rng.choice([2, 8]))
        most = limits.kv_capacity_tokens - 16
        lengths = []
        for _ in range(rng.choice([2, 3, 10])):
            input_tokens = rng.choice([1, 2, 16, 60])
            lengths.append((input_tokens, rng.randint(1, most - input_tokens)))
        cached = [rng.choice([0, input_tokens - 1]) for input_tokens, _ in lengths]
        prompts = np.array([i - c for (i, _), c in zip(lengths, cached, strict=True)], dtype=np.float64)
        asked = replace(make_asked(lengths), prompt_tokens=prompts)
        engine = TokenEngine(make_step_time(law), limits)
        for number, (input_tokens, output_tokens) in enumerate(lengths):
            engine.submit(EngineRequest(str(number), 0.0, input_tokens, output_tokens, cached[number]))
        taken_s = 0.0
        while engine.next_event_s is not None:
            taken_s = engine.next_event_s
            engine.advance(taken_s)
            assert engine.counters.iterations < 100_000  # everybody is served in the end
        preempted += engine.counters.preemptions
        work = make_replica_work(law, limits, asked)
        assert float(work.compute_whole_s(asked).sum()) <= taken_s
        careless = replace(work, saved_decode_token_s=0.0, saved_context_token_s=0.0)
        cheaper += float(careless.compute_whole_s(asked).sum()) > taken_s
    assert preempted > 300
    assert cheaper > 3  # runs that decoding everything would have put below their bound


def test_the_most_that_preemptions_spare_is_the_sum_over_tokens() -> None:
    rng = random.Random(12)
    for _ in range(200):
        input_tokens, output_tokens = rng.randint(1, 300), rng.randint(1, 200)
        asked = make_asked([(input_tokens, output_tokens)], cached_tokens=rng.choice([0, 10, 299]))
        work = ReplicaWork(
            rng.choice([1e-6, 1e-5, 1e-4]),
            1.0,
            saved_decode_token_s=rng.choice([0.0, 1e-4, 1e-3]),
            saved_context_token_s=rng.choice([0.0, 1e-7, 3e-6]),
        )
        prompt_tokens = float(asked.prompt_tokens[0])
        spared_s = 0.0
        for generated in range(1, output_tokens):
            decode_s = work.saved_decode_token_s + work.saved_context_token_s * (input_tokens + generated)
            spared_s += max(decode_s - work.per_prompt_token_s * (prompt_tokens + generated), 0.0)
        found_s = float(work.compute_saved_s(asked, asked.decode_tokens)[0])
        assert spared_s <= found_s * (1.0 + 1e-9) + 1e-15
        if work.per_prompt_token_s > work.saved_context_token_s:
            assert found_s == pytest.approx(spared_s, abs=1e-12)
