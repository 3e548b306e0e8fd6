"""A request keeps its promises or misses them; shed, failed and overdue ones are misses."""

from __future__ import annotations

import pytest

from adapter.demo.request_log import Fate, RequestLog, RequestRecord, is_met
from optimizer.domain import LatencyQuantity, ModelKey, Slo

KEY = ModelKey("default", "llama-8b")
SLOS = (Slo(LatencyQuantity.TTFT, 1.0), Slo(LatencyQuantity.ITL, 0.025), Slo(LatencyQuantity.TTLT, 9.0))


def make_record(fate: Fate = Fate.FINISHED, ttft_s: float | None = 0.5, itl_s: float | None = 0.02) -> RequestRecord:
    return RequestRecord(KEY, 10.0, 100, 50, fate, "pod", ttft_s=ttft_s, itl_s=itl_s, ttlt_s=5.0)


@pytest.mark.parametrize(
    "record, met",
    [
        (make_record(), True),
        (make_record(ttft_s=1.0, itl_s=0.025), True),
        (make_record(ttft_s=1.001), False),
        (make_record(itl_s=0.0251), False),
        (make_record(itl_s=None), True),
        (make_record(Fate.REFUSED), False),
        (make_record(Fate.FAILED), False),
        (make_record(Fate.OPEN), False),
    ],
)
def test_every_promise_must_be_kept_at_once(record: RequestRecord, met: bool) -> None:
    assert is_met(record, SLOS) is met


def test_only_the_last_two_minutes_are_recent() -> None:
    log = RequestLog({KEY: SLOS})
    for end_s in (0.0, 100.0, 200.0):
        log.close(make_record(Fate.FAILED if end_s == 0.0 else Fate.FINISHED), end_s)
    assert log.compute_recent(119.0)[KEY].ratio == pytest.approx(2 / 3)
    assert log.compute_recent(201.0)[KEY].ratio == 1.0
    assert log.compute_recent_by_replica(201.0)["pod"].requests == 2
    assert log.compute_recent(400.0) == {}
    assert (log.judged[KEY].requests, log.judged[KEY].met) == (3, 2)


def test_no_request_has_no_share() -> None:
    assert RequestLog({KEY: SLOS}).compute_recent(0.0) == {}


def test_an_open_request_is_a_miss_once_its_first_token_is_overdue() -> None:
    log = RequestLog({KEY: SLOS})
    waiting, streaming = make_record(Fate.OPEN), make_record(Fate.OPEN)
    streaming.client_first_s = 10.4
    log.open(waiting)
    log.open(streaming)
    assert log.judge_open(10.9) == {}
    assert log.judge_open(11.1)[KEY].requests == 1
    assert log.judge_open(11.1)[KEY].met == 0
