from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from optimizer.demand import compute_window, empty_reading
from optimizer.domain import Counter, DemandSource, Gauge, Histogram, PodReading, ReasonCode
from tests.builders.readings import MODEL_NAME, POD, make_count, make_reading

START = make_reading(
    0.0,
    {
        Counter.HTTP_REQUESTS: 0.0,
        Counter.HTTP_OK: 0.0,
        Counter.FINISHED: 0.0,
        Counter.REJECTED: 0.0,
        Counter.GENERATED_TOKENS: 0.0,
    },
    histograms={Histogram.TTFT: make_count(0.0)},
)
"""A server before the experiment."""

# Ten long requests on four slots, eight more rejected, then all clients leave: 18 were offered.
ALL_LEAVE = make_reading(
    60.0,
    {
        Counter.HTTP_REQUESTS: 18.0,
        Counter.HTTP_OK: 10.0,
        Counter.FINISHED: 0.0,
        Counter.REJECTED: 8.0,
        Counter.GENERATED_TOKENS: 900.0,
    },
    histograms={Histogram.TTFT: make_count(4.0)},
)
# Eight streams on four slots, three running and three queued clients leave, two finish: 8 were offered.
SOME_LEAVE = make_reading(
    60.0,
    {
        Counter.HTTP_REQUESTS: 8.0,
        Counter.HTTP_OK: 8.0,
        Counter.FINISHED: 2.0,
        Counter.REJECTED: 0.0,
        Counter.GENERATED_TOKENS: 900.0,
    },
    histograms={Histogram.TTFT: make_count(5.0)},
)
HTTP = {Counter.HTTP_REQUESTS, Counter.HTTP_OK}


def without_http(reading: PodReading, first_tokens: bool = True) -> PodReading:
    counters = {name: value for name, value in reading.counters.items() if name not in HTTP}
    histograms = reading.histograms if first_tokens else {}
    return PodReading(POD, MODEL_NAME, "vllm", reading.time_s, None, counters, reading.gauges, histograms)


@pytest.mark.parametrize("end, ended, first_tokens, finished", [(ALL_LEAVE, 18, 12, 8), (SOME_LEAVE, 8, 5, 2)])
def test_counts_differ_by_who_leaves(end: PodReading, ended: float, first_tokens: float, finished: float) -> None:
    by_requests = compute_window(START, end)
    by_first_tokens = compute_window(without_http(START), without_http(end))
    by_finished = compute_window(without_http(START, first_tokens=False), without_http(end, first_tokens=False))
    assert (by_requests.source, by_requests.arrivals) == (DemandSource.HTTP_REQUESTS, ended)
    assert (by_first_tokens.source, by_first_tokens.arrivals) == (DemandSource.FIRST_TOKENS, first_tokens)
    assert (by_finished.source, by_finished.arrivals) == (DemandSource.FINISHED, finished)


def test_requests_in_flight_count_when_they_come_and_not_again_when_they_end() -> None:
    queued = make_reading(10.0, START.counters, running=4.0, waiting=6.0, histograms={Histogram.TTFT: make_count(4.0)})
    assert compute_window(START, queued).arrivals == 10.0
    counters = {**START.counters, Counter.HTTP_REQUESTS: 10.0, Counter.HTTP_OK: 10.0, Counter.FINISHED: 10.0}
    done = make_reading(20.0, counters, histograms={Histogram.TTFT: make_count(10.0)})
    assert compute_window(queued, done).arrivals == 0.0


def test_completions_without_arrivals_are_no_demand() -> None:
    counters = {Counter.HTTP_REQUESTS: 191.0, Counter.HTTP_OK: 191.0, Counter.FINISHED: 191.0}
    busy = make_reading(0.0, counters, running=10.0)
    idle = make_reading(5.0, dict.fromkeys(counters, 201.0))
    assert compute_window(busy, idle).arrivals == 0.0


@pytest.mark.parametrize("clients_left", [0.0, 3.0])
def test_arrivals_are_counted_directly_where_the_engine_does(clients_left: float) -> None:
    before = make_reading(0.0, {Counter.HTTP_ARRIVALS: 100.0, Counter.FINISHED: 90.0}, running=10.0)
    after = make_reading(10.0, {Counter.HTTP_ARRIVALS: 130.0, Counter.FINISHED: 120.0}, running=10.0 - clients_left)
    window = compute_window(before, after)
    assert (window.source, window.arrivals) == (DemandSource.HTTP_ARRIVALS, 30.0)


def test_engine_that_counts_no_rejections_rejects_nobody() -> None:
    before = make_reading(0.0, {Counter.FINISHED: 5.0}, running=1.0)
    after = make_reading(10.0, {Counter.FINISHED: 9.0}, running=2.0)
    assert compute_window(before, after).arrivals == 5.0


# --- requests of several sequences ------------------------------------------------------------------------------------
def make_answered(time_s: float, requests: float, finished: float, n_sum: float, n_count: float) -> PodReading:
    counters = {Counter.HTTP_REQUESTS: requests, Counter.HTTP_OK: requests, Counter.FINISHED: finished}
    return make_reading(time_s, counters, histograms={Histogram.SEQUENCES: make_count(n_count, n_sum)})


def test_request_for_three_completions_is_three_sequences() -> None:
    before, after = make_answered(0.0, 100.0, 100.0, 100.0, 100.0), make_answered(10.0, 110.0, 130.0, 130.0, 110.0)
    assert compute_window(before, after).arrivals == 30.0


def test_list_of_three_prompts_is_three_sequences() -> None:
    before, after = make_answered(0.0, 100.0, 300.0, 300.0, 300.0), make_answered(10.0, 110.0, 330.0, 330.0, 330.0)
    assert compute_window(before, after).arrivals == 30.0


def test_rejected_lists_count_like_answered_ones() -> None:
    before = make_answered(0.0, 100.0, 300.0, 300.0, 300.0)
    after = make_answered(10.0, 110.0, 330.0, 330.0, 330.0)
    counters = {**after.counters, Counter.HTTP_REQUESTS: 115.0}
    after = make_reading(10.0, counters, histograms=after.histograms)
    assert compute_window(before, after).arrivals == 45.0


def test_answers_still_being_sent_are_not_taken_for_lists() -> None:
    before, after = make_answered(0.0, 100.0, 100.0, 100.0, 100.0), make_answered(2.0, 103.0, 106.0, 106.0, 106.0)
    assert compute_window(before, after).arrivals == 3.0


def test_paths_nobody_listed_are_counted_by_what_they_finish() -> None:
    before, after = make_answered(0.0, 0.0, 500.0, 500.0, 500.0), make_answered(10.0, 0.0, 540.0, 540.0, 540.0)
    assert compute_window(before, after).arrivals == 40.0


# --- what is missing --------------------------------------------------------------------------------------------------
def test_series_that_appears_with_the_first_request_stood_at_zero() -> None:
    before = make_reading(0.0, {Counter.FINISHED: 0.0, Counter.PROMPT_TOKENS: 90.0}, running=1.0)
    counters = {
        Counter.FINISHED: 3.0,
        Counter.PROMPT_TOKENS: 300.0,
        Counter.HTTP_REQUESTS: 3.0,
        Counter.HTTP_OK: 3.0,
    }
    window = compute_window(before, make_reading(5.0, counters))
    assert (window.source, window.arrivals) == (DemandSource.HTTP_REQUESTS, 2.0)


def test_series_that_appears_late_for_another_reason_is_not_a_spike() -> None:
    before = make_reading(0.0, {Counter.FINISHED: 900.0})
    after = make_reading(5.0, {Counter.FINISHED: 910.0, Counter.HTTP_REQUESTS: 910.0, Counter.HTTP_OK: 910.0})
    window = compute_window(before, after)
    assert (window.source, window.arrivals) == (DemandSource.FINISHED, 10.0)


def test_gauges_missing_before_first_use_are_zero_where_all_counters_are() -> None:
    zeros = {Counter.FINISHED: 0.0, Counter.GENERATED_TOKENS: 0.0}
    before = make_reading(0.0, zeros, running=None, waiting=None, histograms={Histogram.TTFT: make_count(0.0)})
    counters = {Counter.FINISHED: 0.0, Counter.GENERATED_TOKENS: 94.0}
    after = make_reading(9.0, counters, running=8.0, waiting=16.0, histograms={Histogram.TTFT: make_count(8.0)})
    window = compute_window(before, after)
    assert (window.source, window.arrivals) == (DemandSource.FIRST_TOKENS, 24.0)


@pytest.mark.parametrize("counters", [{Counter.FINISHED: 7.0}, {}])
def test_gauges_missing_otherwise_leave_arrivals_unknown(counters: Mapping[Counter, float]) -> None:
    before = make_reading(0.0, counters, running=None, waiting=None)
    window = compute_window(before, make_reading(5.0, counters, running=None, waiting=None))
    assert window.arrivals is None
    assert window.reason is not None
    assert window.reason.code is ReasonCode.METRIC_MISSING


def test_first_page_of_a_new_pod_counts_since_the_pod_began() -> None:
    window = compute_window(empty_reading(POD, MODEL_NAME, "vllm", 50.0), ALL_LEAVE)
    assert (window.start_s, window.end_s, window.arrivals) == (50.0, 60.0, 18.0)
    assert empty_reading(POD, MODEL_NAME, "vllm", 50.0).gauges[Gauge.RUNNING_REQUESTS] == 0.0


# --- frozen -----------------------------------------------------------------------------------------------------------
BUSY = {Counter.FINISHED: 50.0, Counter.GENERATED_TOKENS: 3000.0, Counter.ITERATIONS: 700.0}


@pytest.mark.parametrize("running, waiting", [(3.0, 0.0), (3.0, 9.0), (0.0, 2.0)])
def test_requests_in_flight_of_which_nothing_moves_are_frozen(running: float, waiting: float) -> None:
    before = make_reading(0.0, BUSY, running=running, waiting=waiting)
    window = compute_window(before, make_reading(15.0, BUSY, running=running, waiting=waiting))
    assert window.arrivals is None
    assert window.waiting_requests is None
    assert window.reason is not None
    assert window.reason.code is ReasonCode.FROZEN


@pytest.mark.parametrize(
    "counters, running, arrivals",
    [
        (BUSY, 4.0, 1.0),  # somebody came: the prompt is still being computed
        ({**BUSY, Counter.ITERATIONS: 701.0}, 3.0, 0.0),
        ({**BUSY, Counter.GENERATED_TOKENS: 3001.0}, 3.0, 0.0),
    ],
)
def test_whatever_moves_is_not_frozen(counters: Mapping[Counter, float], running: float, arrivals: float) -> None:
    window = compute_window(make_reading(0.0, BUSY, running=3.0), make_reading(15.0, counters, running=running))
    assert window.arrivals == arrivals


def test_idle_page_is_not_frozen() -> None:
    assert compute_window(make_reading(0.0, BUSY), make_reading(15.0, BUSY)).arrivals == 0.0


def test_arrivals_at_a_hung_engine_are_still_known_where_they_are_counted_directly() -> None:
    before = make_reading(0.0, {**BUSY, Counter.HTTP_ARRIVALS: 60.0}, running=3.0)
    after = make_reading(15.0, {**BUSY, Counter.HTTP_ARRIVALS: 75.0}, running=3.0)
    assert compute_window(before, after).arrivals == 15.0
    still = make_reading(15.0, before.counters, running=3.0)
    assert compute_window(before, still).arrivals is None


def test_no_arrivals_on_a_page_that_lives_are_none_whatever_its_gauges_say() -> None:
    """The gauges of an idle scheduler may stand still for long."""
    before = make_reading(0.0, {**BUSY, Counter.HTTP_ARRIVALS: 60.0}, running=3.0)
    still = make_reading(15.0, before.counters, running=3.0)
    assert compute_window(before, replace(still, is_changed=True)).arrivals == 0.0
    assert compute_window(before, replace(still, is_changed=False)).arrivals is None
