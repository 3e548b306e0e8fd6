from __future__ import annotations

import math

import pytest

from tests.engine.arrivals import find_truth
from tests.engine.record import RequestRecord


def make_record(sent_s: float, taken_s: float | None, ended_s: float | None, *token_times_s: float) -> RequestRecord:
    return RequestRecord(sent_s, 9, 9, list(token_times_s), taken_s=taken_s, ended_s=ended_s)


STREAM = make_record(0.0, 0.01, 9.5, *(0.5 * number for number in range(1, 19)))


def test_a_queued_request_is_told_of_with_the_third_token_of_another_stream_after_its_status_line() -> None:
    queued = make_record(2.0, 2.1, 60.0, 50.0, 55.0)
    assert find_truth([STREAM, queued]).told_s == (1.5, 3.5)


def test_a_request_alone_is_told_of_by_its_own_third_token_or_its_end() -> None:
    assert find_truth([STREAM]).told_s == (1.5,)
    assert find_truth([make_record(2.0, 2.1, 3.0, 2.5, 2.9)]).told_s == (3.0,)


def test_a_status_line_late_in_a_stream_leaves_too_few_of_its_tokens() -> None:
    assert find_truth([STREAM, make_record(8.0, 8.1, 30.0)]).told_s == (1.5, 30.0)


@pytest.mark.parametrize("ended_s, told_s", [(7.0, 7.0), (None, math.inf)])
def test_a_request_that_got_no_status_line_is_on_its_way_until_its_end(ended_s: float | None, told_s: float) -> None:
    assert find_truth([STREAM, make_record(2.0, None, ended_s)]).told_s == (1.5, told_s)


def test_what_is_on_its_way_at_an_edge_widens_the_truth_of_both_windows_beside_it() -> None:
    truth = find_truth([STREAM, make_record(4.0, 7.0, 7.5), make_record(5.5, 5.5, 5.6)])
    assert truth.count_sent(-1.0, 5.0) == 2
    assert truth.bound_arrivals(-1.0, 5.0) == (1, 2)
    assert truth.bound_arrivals(5.0, 10.0) == (1, 2)
    assert truth.bound_arrivals(-1.0, 10.0) == (3, 3)
    assert truth.bound_arrivals(4.5, 5.4) == (0, 1)
