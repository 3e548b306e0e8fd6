"""Times of the Kubernetes API against the standard library's and against known moments."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import pytest

from adapter.errors import BadDocument
from adapter.kube.wire_times import parse_time_s, render_micro_time, render_time


@pytest.mark.parametrize(
    "text, expected_s",
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("2001-09-09T01:46:40Z", 1e9),
        ("2001-09-09t01:46:40z", 1e9),
        ("2001-09-09T01:46:40.000000Z", 1e9),
        ("2001-09-09T01:46:40.250000000Z", 1e9 + 0.25),
        ("2001-09-09T03:16:40+01:30", 1e9),
        ("2001-09-08T20:46:40-05:00", 1e9),
        ("2016-12-31T23:59:60Z", 1483228800.0),
        ("2016-12-31T23:59:60.5Z", 1483228800.5),
    ],
)
def test_reads_every_form_of_rfc_3339(text: str, expected_s: float) -> None:
    assert parse_time_s(text) == expected_s


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "2026-11-21", "2026-11-21T05:33:34", "2026-11-21 05:33:34Z", "20261121T053334Z", "2026-W47-6"),
        *("2026-02-29T00:00:00Z", "2026-11-21T24:00:01Z", "2026-11-21T05:60:00Z", "2026-11-21T05:33:61Z"),
        *("2026-11-21T05:33:34.Z", "2026-11-21T05:33:34+24:00", "2026-11-21T05:33:34Z ", "٢٠٢٦-11-21T05:33:34Z"),
        *(None, 5, 5.0),
    ],
)
def test_refuses_what_is_no_time(text: object) -> None:
    with pytest.raises(BadDocument, match="must be a time"):
        parse_time_s(text)


def test_writes_whole_seconds_rounded_down() -> None:
    assert render_time(1e9 + 0.999) == "2001-09-09T01:46:40Z"


def test_writes_microseconds_with_all_digits() -> None:
    assert render_micro_time(1e9) == "2001-09-09T01:46:40.000000Z"
    assert render_micro_time(1e9 + 0.9999996) == "2001-09-09T01:46:41.000000Z"


def test_microseconds_survive_writing_and_reading() -> None:
    stream = Random(7)
    for _ in range(2000):
        time_s = round(stream.uniform(0.0, 4e9), 6)
        assert parse_time_s(render_micro_time(time_s)) == pytest.approx(time_s, abs=1e-6)
        assert datetime.fromisoformat(render_micro_time(time_s)) == datetime.fromtimestamp(time_s, UTC)


def test_times_beyond_the_calendar_stay_writable() -> None:
    assert render_time(-5.0) == "1970-01-01T00:00:00Z"
    assert render_time(1e18) == "9999-12-31T23:59:59Z"
