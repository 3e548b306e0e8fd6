from __future__ import annotations

import pytest

from tests.engine.compare import (
    LengthEstimate,
    QuantileEstimate,
    RateEstimate,
    Span,
    join_windows,
    judge_mean_tokens,
    judge_quantile,
    judge_rates,
    judge_signs,
    judge_spikes,
)
from tests.engine.record import LEFT, OK, RequestRecord

WHOLE = Span(0.0, 1000.0)
EDGES_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5)


def make_estimates(start_s: float, step_s: float, *arrivals: float) -> list[RateEstimate]:
    return [
        RateEstimate(start_s + step_s * number, start_s + step_s * (number + 1), count)
        for number, count in enumerate(arrivals)
    ]


def make_done(done_s: float, input_tokens: int = 10, latency_s: float = 1.0, first_s: float = 0.5) -> RequestRecord:
    sent_s = done_s - latency_s
    return RequestRecord(sent_s, input_tokens, 5, [sent_s + first_s, done_s], done_s, OK)


def test_adjoining_windows_are_joined_until_they_last_twenty_seconds() -> None:
    runs = join_windows(make_estimates(0.0, 8.0, 1, 2, 3, 4))
    assert runs == [RateEstimate(0.0, 24.0, 6), RateEstimate(8.0, 32.0, 9)]


def test_what_was_counted_too_many_is_taken_off_where_windows_are_joined() -> None:
    head, found_out = RateEstimate(0.0, 10.0, 12.0), RateEstimate(10.0, 20.0, 0.0, overcounted=2.0)
    assert join_windows([head, found_out]) == [RateEstimate(0.0, 20.0, 10.0)]


def test_windows_are_never_joined_over_a_gap() -> None:
    assert join_windows([*make_estimates(0.0, 8.0, 1, 2), *make_estimates(17.0, 8.0, 3, 4)]) == []


def test_a_long_window_stands_alone() -> None:
    assert join_windows([RateEstimate(5.0, 65.0, 7)]) == [RateEstimate(5.0, 65.0, 7)]


@pytest.mark.parametrize("arrivals, is_passed", [(20, True), (24.4, True), (24.5, False), (15.6, True), (15.5, False)])
def test_a_rate_may_differ_by_two_percent_and_a_fifth_per_second(arrivals: float, is_passed: bool) -> None:
    sent_s = [0.5 + number for number in range(20)]  # 1/s: 20 ± 20 * (0.02 + 0.2)
    assert judge_rates("x", [RateEstimate(0.0, 20.0, arrivals)], sent_s, WHOLE).is_passed is is_passed


def test_the_worst_of_all_windows_is_judged() -> None:
    sent_s = [0.5 + number for number in range(60)]
    line = judge_rates("x", make_estimates(0.0, 20.0, 20, 30, 20), sent_s, WHOLE)
    assert not line.is_passed
    assert line.observed == "1.500/s (worst of 3, 20-40 s, 1 outside)"


def test_windows_that_touch_an_excluded_span_do_not_count() -> None:
    sent_s = [0.5 + number for number in range(60)]
    estimates = make_estimates(0.0, 20.0, 20, 90, 20)
    assert judge_rates("x", estimates, sent_s, WHOLE, [Span(25.0, 26.0)]).is_passed


def test_no_window_at_all_is_a_failure() -> None:
    assert not judge_rates("x", [], [1.0], WHOLE).is_passed
    assert not judge_spikes([], [1.0], WHOLE).is_passed
    assert not judge_signs([]).is_passed


def test_a_single_negative_estimate_is_a_failure() -> None:
    assert judge_signs(make_estimates(0.0, 2.0, 0, 3)).is_passed
    assert not judge_signs(make_estimates(0.0, 2.0, 5, -1, 3)).is_passed


def test_arrivals_may_be_found_late_at_a_restart_and_never_be_invented() -> None:
    sent_s = [float(second) for second in range(80, 100)]  # 20 requests, then the server dies
    restart = Span(100.0, 140.0)
    assert judge_spikes([RateEstimate(98.0, 118.0, 20)], sent_s, restart).is_passed
    assert not judge_spikes([RateEstimate(98.0, 118.0, 60)], sent_s, restart).is_passed
    assert not judge_spikes([RateEstimate(130.0, 150.0, 20)], sent_s, restart).is_passed


@pytest.mark.parametrize("tokens, is_passed", [(40.0, True), (41.9, True), (42.1, False), (37.9, False)])
def test_a_mean_length_may_differ_by_five_percent(tokens: float, is_passed: bool) -> None:
    records = [make_done(5.0, 10), make_done(6.0, 30)]
    line = judge_mean_tokens("x", [LengthEstimate(0.0, 10.0, 2, tokens)], records, lambda one: one.input_tokens)
    assert line.is_passed is is_passed


def test_only_requests_that_ended_well_in_the_window_have_a_length() -> None:
    left = RequestRecord(1.0, 9999, 1, status=LEFT)
    records = [make_done(5.0, 10), make_done(15.0, 9999), left]
    line = judge_mean_tokens("x", [LengthEstimate(0.0, 10.0, 1, 10.0)], records, lambda one: one.input_tokens)
    assert line.is_passed
    assert line.expected == "10.00 (1 requests)"


def test_lengths_of_nothing_are_a_failure() -> None:
    assert not judge_mean_tokens("x", [], [make_done(5.0)], lambda one: one.input_tokens).is_passed


@pytest.mark.parametrize(
    "value_s, is_passed", [(0.051, True), (0.1, True), (0.099, True), (0.049, False), (0.11, False)]
)
def test_a_quantile_lies_in_the_bucket_of_the_true_one(value_s: float, is_passed: bool) -> None:
    records = [make_done(float(second), first_s=0.085) for second in range(1, 9)]
    estimate = QuantileEstimate(0.0, 10.0, "ttft", 0.5, value_s)
    assert judge_quantile("x", estimate, records, EDGES_S).is_passed is is_passed


def test_a_quantile_just_above_an_edge_for_the_client_may_lie_below_it_for_the_engine() -> None:
    records = [make_done(5.0, first_s=0.055)]
    assert judge_quantile("x", QuantileEstimate(0.0, 10.0, "ttft", 0.5, 0.045), records, EDGES_S).is_passed
    assert not judge_quantile("x", QuantileEstimate(0.0, 10.0, "ttft", 0.5, 0.020), records, EDGES_S).is_passed


def test_an_absent_quantile_is_a_failure() -> None:
    line = judge_quantile("x", QuantileEstimate(0.0, 10.0, "ttlt", 0.5, None), [make_done(5.0)], EDGES_S)
    assert (line.is_passed, line.observed) == (False, "absent")


def test_quantiles_of_gaps_and_of_whole_requests_come_from_their_own_times() -> None:
    records = [make_done(5.0, latency_s=0.4, first_s=0.34)]  # one gap of 60 ms, 400 ms in all
    assert judge_quantile("x", QuantileEstimate(0.0, 10.0, "itl", 0.9, 0.06), records, EDGES_S).is_passed
    assert judge_quantile("x", QuantileEstimate(0.0, 10.0, "ttlt", 0.9, 0.4), records, EDGES_S).is_passed
    assert not judge_quantile("x", QuantileEstimate(0.0, 10.0, "ttlt", 0.9, 0.06), records, EDGES_S).is_passed
