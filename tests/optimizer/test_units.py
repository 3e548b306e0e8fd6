from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from optimizer.units import render_utc

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "moment",
    [
        "1970-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "2000-02-29T12:00:00Z",
        "1900-02-28T23:59:59Z",
        "1900-03-01T00:00:00Z",
        "2027-01-31T18:00:00Z",
        "2400-12-31T23:59:59Z",
        "9999-12-31T23:59:59Z",
    ],
)
def test_a_moment_is_rendered_as_the_calendar_has_it(moment: str) -> None:
    assert render_utc((datetime.fromisoformat(moment) - EPOCH).total_seconds()) == moment


def test_any_second_of_six_thousand_years_is_rendered_as_the_standard_library_does() -> None:
    stream = np.random.default_rng(1)
    for second in stream.integers(-40_000_000_000, 200_000_000_000, 2000).tolist():
        expected = (EPOCH + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")
        assert render_utc(float(second)) == expected


def test_parts_of_a_second_are_cut() -> None:
    assert render_utc(1.999) == "1970-01-01T00:00:01Z"
    assert render_utc(-0.001) == "1969-12-31T23:59:59Z"
