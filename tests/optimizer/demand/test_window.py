from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from optimizer import InvalidInput
from optimizer.demand import choose_baseline, compute_window, empty_reading, merge_windows
from optimizer.domain import Counter, DemandSource, Histogram, PodKey, PodReading, ReasonCode
from tests.builders.readings import MODEL_NAME, POD, make_count, make_histogram, make_reading

COUNTERS = {
    Counter.HTTP_REQUESTS: 100.0,
    Counter.HTTP_OK: 100.0,
    Counter.FINISHED: 100.0,
    Counter.PROMPT_TOKENS: 20_000.0,
    Counter.CACHED_TOKENS: 5000.0,
    Counter.GENERATED_TOKENS: 9000.0,
    Counter.ITERATIONS: 3000.0,
}
PREVIOUS = make_reading(100.0, COUNTERS, running=2.0, start_s=50.0, histograms={Histogram.TTFT: make_count(102.0)})


def move(reading: PodReading, time_s: float, by: float) -> PodReading:
    counters = {name: value + by for name, value in reading.counters.items()}
    return replace(reading, time_s=time_s, counters=counters)


def code_of(previous: PodReading | None, current: PodReading) -> ReasonCode:
    window = compute_window(previous, current)
    assert window.arrivals is None
    assert window.source is DemandSource.NONE
    assert window.completions is None
    assert window.input_lengths is None
    assert not window.latencies
    assert window.start_s <= window.end_s
    assert window.reason is not None
    return window.reason.code


def test_every_figure_is_a_difference() -> None:
    older = {
        Histogram.TTFT: make_histogram([0.1, 1.0], [0.05] * 8),
        Histogram.INPUT_TOKENS: make_histogram([100, 1000], [50] * 4),
        Histogram.OUTPUT_TOKENS: make_histogram([100, 1000], [5] * 4),
    }
    newer = {
        Histogram.TTFT: make_histogram([0.1, 1.0], [0.05] * 8 + [0.5, 2.0]),
        Histogram.INPUT_TOKENS: make_histogram([100, 1000], [50] * 4 + [300, 600, 5000]),
        Histogram.OUTPUT_TOKENS: make_histogram([100, 1000], [5] * 4 + [10, 20, 30]),
    }
    previous = make_reading(100.0, COUNTERS, running=2.0, waiting=1.0, histograms=older)
    moved = {name: value + step for step, (name, value) in enumerate(COUNTERS.items(), start=3)}
    window = compute_window(previous, make_reading(115.0, moved, running=1.0, waiting=7.0, histograms=newer))
    assert (window.start_s, window.end_s, window.pod, window.reason) == (100.0, 115.0, POD, None)
    assert (window.completions, window.prompt_tokens, window.cached_tokens) == (5.0, 6.0, 7.0)
    assert (window.generated_tokens, window.iterations, window.waiting_requests) == (8.0, 9.0, 7.0)
    assert window.arrivals == 4.0 + (3.0 - 4.0) + 5.0
    assert window.latencies[Histogram.TTFT] == make_histogram([0.1, 1.0], [0.5, 2.0])
    assert window.input_lengths is not None
    assert (window.input_lengths.requests, window.input_lengths.tokens) == (3.0, 5900.0)
    assert window.input_lengths.counts == (0.0, 2.0, 1.0)
    assert window.output_lengths is not None
    assert window.output_lengths.counts == (3.0, 0.0, 0.0)


def test_what_a_page_does_not_tell_is_not_known() -> None:
    few = {Counter.FINISHED: 5.0}
    window = compute_window(make_reading(0.0, few), make_reading(9.0, few))
    assert window.arrivals == 0.0
    unknown = (window.prompt_tokens, window.cached_tokens, window.iterations, window.input_lengths)
    assert unknown == (None, None, None, None)
    assert not window.latencies


def test_first_page_closes_no_window() -> None:
    assert code_of(None, PREVIOUS) is ReasonCode.FIRST_READING
    assert compute_window(None, replace(PREVIOUS, gauges={})).waiting_requests is None
    assert compute_window(None, PREVIOUS).waiting_requests == 0.0


@pytest.mark.parametrize("time_s", [100.0, 99.0, 0.0])
def test_page_that_is_not_newer_says_nothing(time_s: float) -> None:
    assert code_of(PREVIOUS, move(PREVIOUS, time_s, 5.0)) is ReasonCode.STALE


def test_another_start_is_a_restart_even_when_counters_have_grown_past_the_old_ones() -> None:
    current = replace(move(PREVIOUS, 115.0, 1e6), start_s=105.0)
    assert code_of(PREVIOUS, current) is ReasonCode.COUNTER_RESET


@pytest.mark.parametrize("counter", list(COUNTERS))
def test_counter_that_goes_back_is_a_restart_where_no_start_is_shown(counter: Counter) -> None:
    current = replace(move(PREVIOUS, 115.0, 5.0), start_s=None)
    current = replace(current, counters={**current.counters, counter: 1.0})
    assert code_of(replace(PREVIOUS, start_s=None), current) is ReasonCode.COUNTER_RESET


def test_histogram_that_goes_back_is_a_restart_too() -> None:
    current = replace(move(PREVIOUS, 115.0, 5.0), start_s=None, histograms={Histogram.TTFT: make_count(3.0)})
    assert code_of(PREVIOUS, current) is ReasonCode.COUNTER_RESET


def test_another_llm_behind_the_same_pod_is_a_restart() -> None:
    assert code_of(PREVIOUS, replace(move(PREVIOUS, 115.0, 5.0), model_name="other")) is ReasonCode.COUNTER_RESET


def test_counter_that_goes_back_in_the_same_process_is_a_bad_page() -> None:
    current = move(PREVIOUS, 115.0, 5.0)
    current = replace(current, counters={**current.counters, Counter.HTTP_REQUESTS: 60.0})
    assert code_of(PREVIOUS, current) is ReasonCode.BAD_PAGE


@pytest.mark.parametrize("counter", list(COUNTERS))
def test_page_that_lacks_what_it_had_is_not_whole(counter: Counter) -> None:
    current = move(PREVIOUS, 115.0, 5.0)
    counters = {name: value for name, value in current.counters.items() if name is not counter}
    assert code_of(PREVIOUS, replace(current, counters=counters)) is ReasonCode.METRIC_MISSING


def test_page_that_lacks_a_rank_is_not_whole() -> None:
    two = replace(PREVIOUS, ranks=2)
    assert code_of(two, move(PREVIOUS, 115.0, 5.0)) is ReasonCode.METRIC_MISSING


def test_ranks_of_a_new_pod_may_be_any() -> None:
    window = compute_window(empty_reading(POD, MODEL_NAME, "vllm", 90.0), replace(PREVIOUS, ranks=4))
    assert window.arrivals == 102.0


def test_readings_of_two_pods_are_a_wrong_call() -> None:
    with pytest.raises(InvalidInput, match="pod"):
        compute_window(PREVIOUS, replace(move(PREVIOUS, 115.0, 5.0), pod=PodKey("prod", "pod-0", "2")))


def test_window_is_never_negative_and_windows_add_up_all_the_same() -> None:
    """Gauges and counters of a page are not of one moment: 12 are counted where 10 came, then 2 are taken back."""
    pages = [
        make_reading(0.0, {Counter.FINISHED: 0.0}, running=0.0),
        make_reading(2.0, {Counter.FINISHED: 6.0}, running=6.0),
        make_reading(4.0, {Counter.FINISHED: 10.0}, running=0.0),
        make_reading(6.0, {Counter.FINISHED: 11.0}, running=0.0),
    ]
    windows = [compute_window(older, newer) for older, newer in pairwise(pages)]
    assert [window.arrivals for window in windows] == [12.0, 0.0, 1.0]
    assert [window.overcounted_arrivals for window in windows] == [0.0, 2.0, 0.0]
    assert merge_windows(windows).arrivals == compute_window(pages[0], pages[-1]).arrivals == 11.0


# --- from which page the next window starts ---------------------------------------------------------------------------
GOOD = move(PREVIOUS, 115.0, 5.0)
LACKING = replace(GOOD, counters={Counter.FINISHED: 105.0})
LESS = replace(GOOD, counters={**GOOD.counters, Counter.HTTP_REQUESTS: 60.0})


@pytest.mark.parametrize("bad", [LACKING, LESS, replace(PREVIOUS, time_s=99.0)])
def test_page_that_is_not_whole_is_passed_over(bad: PodReading) -> None:
    baseline = choose_baseline(PREVIOUS, bad, 60.0)
    assert baseline is PREVIOUS
    assert compute_window(baseline, move(PREVIOUS, 130.0, 9.0)).arrivals == 9.0


@pytest.mark.parametrize("bad", [LACKING, LESS])
def test_page_that_stays_as_it_is_becomes_the_new_start_in_the_end(bad: PodReading) -> None:
    late = replace(bad, time_s=161.0)
    assert choose_baseline(PREVIOUS, late, 60.0) is late


@pytest.mark.parametrize("good", [GOOD, replace(GOOD, start_s=110.0), replace(LESS, start_s=110.0)])
def test_good_page_and_restart_begin_the_next_window(good: PodReading) -> None:
    assert choose_baseline(PREVIOUS, good, 60.0) is good
    assert choose_baseline(None, good, 60.0) is good
