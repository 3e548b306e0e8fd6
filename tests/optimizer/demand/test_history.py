from __future__ import annotations

import pytest

from optimizer.demand import DemandHistory, RateSample, compute_mean
from optimizer.demand.history import KEPT_S, KEPT_SAMPLES


def test_samples_never_overlap_and_stay_in_order() -> None:
    history = DemandHistory().append(RateSample(0.0, 15.0, 1.0)).append(RateSample(10.0, 25.0, 2.0))
    assert [(entry.start_s, entry.end_s) for entry in history.samples] == [(0.0, 15.0), (15.0, 25.0)]


def test_a_window_that_was_there_before_tells_nothing_new() -> None:
    history = DemandHistory().append(RateSample(0.0, 15.0, 1.0))
    assert history.append(RateSample(0.0, 15.0, 9.0)) is history


@pytest.mark.parametrize("period_s", [1.0, 15.0, 300.0])
def test_history_stays_small_whatever_the_period(period_s: float) -> None:
    history = DemandHistory()
    for index in range(500):
        history = history.append(RateSample(index * period_s, (index + 1) * period_s, 1.0))
    assert len(history.samples) <= KEPT_SAMPLES
    assert history.samples[0].end_s > 500 * period_s - KEPT_S


def test_mean_weighs_by_duration() -> None:
    mean = compute_mean([RateSample(0.0, 10.0, 1.0), RateSample(10.0, 40.0, 5.0)])
    assert mean is not None
    assert mean.rate_per_s == pytest.approx(4.0)
    assert mean.counted_s == pytest.approx(40.0)


def test_a_rate_scaled_from_half_of_the_load_is_half_as_sharp() -> None:
    mean = compute_mean([RateSample(0.0, 30.0, 2.0, seen_ratio=0.5, is_complete=False)])
    assert mean is not None
    assert mean.counted_s == pytest.approx(15.0)


def test_no_duration_has_no_mean() -> None:
    assert compute_mean([]) is None
    assert compute_mean([RateSample(5.0, 5.0, 1.0)]) is None
