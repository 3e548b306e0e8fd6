from __future__ import annotations

import pytest

from tests.engine.compare import (
    LengthEstimate,
    QuantileEstimate,
    judge_mean_tokens,
    judge_quantile,
)
from tests.engine.record import LEFT, OK, RequestRecord

EDGES_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5)


def make_done(done_s: float, input_tokens: int = 10, latency_s: float = 1.0, first_s: float = 0.5) -> RequestRecord:
    sent_s = done_s - latency_s
    return RequestRecord(sent_s, input_tokens, 5, [sent_s + first_s, done_s], done_s, OK)


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


def test_the_engine_may_have_come_to_a_request_at_any_time_between_its_sending_and_its_status_line() -> None:
    record = make_done(5.0, first_s=0.3)  # more than 250 ms for the client, 60 ms since the status line
    record.taken_s = record.sent_s + 0.24

    def judge(value_s: float, latency: str = "ttft") -> bool:
        return judge_quantile("x", QuantileEstimate(0.0, 10.0, latency, 0.5, value_s), [record], EDGES_S).is_passed

    assert [judge(value_s) for value_s in (0.02, 0.03, 0.06, 0.2, 0.3, 0.6)] == [False, True, True, True, True, False]
    assert judge(0.7, "ttlt")


def test_an_absent_quantile_is_a_failure() -> None:
    line = judge_quantile("x", QuantileEstimate(0.0, 10.0, "ttlt", 0.5, None), [make_done(5.0)], EDGES_S)
    assert (line.is_passed, line.observed) == (False, "absent")


def test_quantiles_of_gaps_and_of_whole_requests_come_from_their_own_times() -> None:
    records = [make_done(5.0, latency_s=0.4, first_s=0.34)]  # one gap of 60 ms, 400 ms in all
    assert judge_quantile("x", QuantileEstimate(0.0, 10.0, "itl", 0.9, 0.06), records, EDGES_S).is_passed
    assert judge_quantile("x", QuantileEstimate(0.0, 10.0, "ttlt", 0.9, 0.4), records, EDGES_S).is_passed
    assert not judge_quantile("x", QuantileEstimate(0.0, 10.0, "ttlt", 0.9, 0.06), records, EDGES_S).is_passed
