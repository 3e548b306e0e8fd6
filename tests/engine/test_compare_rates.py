from __future__ import annotations

import pytest

from tests.engine.arrivals import ArrivalTruth
from tests.engine.compare import Span
from tests.engine.compare_rates import (
    RateEstimate,
    join_windows,
    judge_certainty,
    judge_rates,
    judge_signs,
    judge_spikes,
    select_windows,
)

WHOLE = Span(0.0, 1000.0)


def make_estimates(start_s: float, step_s: float, *arrivals: float) -> list[RateEstimate]:
    return [
        RateEstimate(start_s + step_s * number, start_s + step_s * (number + 1), count)
        for number, count in enumerate(arrivals)
    ]


def make_truth(*sent_s: float) -> ArrivalTruth:
    """A server so prompt that each request is told of when it is sent."""
    return ArrivalTruth(sent_s, sent_s)


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


@pytest.mark.parametrize("arrivals, is_passed", [(20, True), (24.3, True), (24.5, False), (15.7, True), (15.5, False)])
def test_a_rate_may_differ_by_two_percent_and_a_fifth_per_second(arrivals: float, is_passed: bool) -> None:
    truth = make_truth(*(0.5 + number for number in range(20)))  # 1/s: 20 ± 20 * (0.02 + 0.2)
    assert judge_rates("x", [RateEstimate(0.0, 20.0, arrivals)], truth).is_passed is is_passed


@pytest.mark.parametrize("arrivals, is_passed", [(24.3, True), (24.5, False), (12.7, True), (12.5, False)])
def test_requests_on_their_way_at_an_edge_may_be_counted_or_not(arrivals: float, is_passed: bool) -> None:
    sent_s = [0.5 + number for number in range(20)]
    told_s = [*sent_s[:17], 21.0, 21.0, 21.0]
    line = judge_rates("x", [RateEstimate(0.0, 20.0, arrivals)], ArrivalTruth(tuple(sent_s), tuple(told_s)))
    assert (line.is_passed, line.expected) == (is_passed, "0.850-1.000/s")


def test_the_worst_of_all_windows_is_judged() -> None:
    line = judge_rates("x", make_estimates(0.0, 20.0, 20, 30, 20), make_truth(*(0.5 + number for number in range(60))))
    assert not line.is_passed
    assert line.observed == "1.500/s (worst of 3, 20-40 s, 1 outside; 1 by sending times alone)"


def test_windows_that_touch_an_excluded_span_or_leave_the_whole_do_not_count() -> None:
    estimates = make_estimates(0.0, 20.0, 20, 90, 20, 7)
    assert select_windows(estimates, Span(0.0, 70.0), [Span(25.0, 26.0)]) == [estimates[0], estimates[2]]


def test_a_client_that_knows_too_few_windows_cannot_judge() -> None:
    sent_s = [0.5 + number for number in range(100)]
    windows = make_estimates(0.0, 20.0, 20, 20, 20, 20, 20)
    assert judge_certainty(windows, make_truth(*sent_s)).is_passed
    one_edge = ArrivalTruth(tuple(sent_s), tuple(sorted(102.0 if time_s > 94 else time_s for time_s in sent_s)))
    line = judge_certainty(windows, one_edge)
    assert (line.is_passed, line.observed) == (True, "4 of 5 windows")
    inner_edge = ArrivalTruth(tuple(sent_s), tuple(sorted(65.0 if 54 < time_s < 60 else time_s for time_s in sent_s)))
    line = judge_certainty(windows, inner_edge)
    assert (line.is_passed, line.observed) == (False, "3 of 5 windows")


def test_no_window_at_all_is_a_failure() -> None:
    truth = make_truth(1.0)
    assert not judge_rates("x", [], truth).is_passed
    assert not judge_certainty([], truth).is_passed
    assert not judge_spikes([], truth, WHOLE).is_passed
    assert not judge_signs([]).is_passed


def test_a_single_negative_estimate_is_a_failure() -> None:
    assert judge_signs(make_estimates(0.0, 2.0, 0, 3)).is_passed
    assert not judge_signs(make_estimates(0.0, 2.0, 5, -1, 3)).is_passed


def test_arrivals_may_be_found_late_at_a_restart_and_never_be_invented() -> None:
    truth = make_truth(*map(float, range(80, 100)))  # 20 requests, then the server dies
    restart = Span(100.0, 140.0)
    assert judge_spikes([RateEstimate(98.0, 118.0, 20)], truth, restart).is_passed
    assert not judge_spikes([RateEstimate(98.0, 118.0, 60)], truth, restart).is_passed
    assert not judge_spikes([RateEstimate(130.0, 150.0, 20)], truth, restart).is_passed
