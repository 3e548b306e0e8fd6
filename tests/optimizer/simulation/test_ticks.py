"""Whole numbers of time: what goes in as seconds comes out again."""

from __future__ import annotations

import numpy as np
import pytest

from optimizer.simulation.ticks import (
    FACTOR_ONE,
    TICKS_PER_NS,
    TICKS_PER_S,
    to_end_ns,
    to_ns,
    to_reaching_s,
    to_s,
    to_ticks,
)


def test_nanoseconds_of_26_days_survive_being_seconds() -> None:
    for time_ns in np.random.default_rng(1).integers(0, 26 * 86_400 * 10**9, 5000).tolist():
        assert to_ns(to_s(time_ns)) == time_ns


@pytest.mark.parametrize("start_ns", [0, 86_400 * 10**9, 1_790_000_000 * 10**9])
def test_a_time_that_reaches_a_nanosecond_is_as_close_as_seconds_get(start_ns: int) -> None:
    for after_ns in np.random.default_rng(2).integers(0, 10**12, 2000).tolist():
        time_s = to_reaching_s(start_ns + after_ns)
        assert 0 <= to_ns(time_s) - (start_ns + after_ns) <= 2e9 * np.spacing(time_s)


def test_durations_are_kept_to_a_billionth_and_can_be_scaled_exactly() -> None:
    for duration_s in (1e-8, 5.5e-8, 3e-7, 0.0273, 12.5):
        ticks = to_ticks(duration_s)
        assert ticks / TICKS_PER_S == pytest.approx(duration_s, rel=1e-9)
        assert ticks % FACTOR_ONE == 0


def test_an_end_is_noted_at_the_first_nanosecond_after_it() -> None:
    ends = (3 * TICKS_PER_NS, 3 * TICKS_PER_NS + 1, 4 * TICKS_PER_NS - 1)
    assert [to_end_ns(end) for end in ends] == [3, 4, 4]
