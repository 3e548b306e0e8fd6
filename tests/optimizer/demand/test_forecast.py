from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from optimizer import InvalidInput
from optimizer.demand import DemandHistory, RateSample, RobustForecaster

FORECASTER = RobustForecaster()
LEAD_TIME_S = 55.0


def record(rate_at: Callable[[float], float], end_s: float, period_s: float = 15.0) -> DemandHistory:
    """Return the history of a rate, counted exactly."""
    history = DemandHistory()
    for index in range(round(end_s / period_s)):
        start_s = index * period_s
        mean_per_s = float(np.mean([rate_at(start_s + period_s * (part + 0.5) / 8) for part in range(8)]))
        history = history.append(RateSample(start_s, start_s + period_s, mean_per_s))
    return history


def forecast(history: DemandHistory, horizon_s: float = LEAD_TIME_S, level: float = 0.9) -> float:
    return float(FORECASTER.forecast(history, (horizon_s,), (level,))[0, 0])


def test_an_empty_history_forecasts_nothing() -> None:
    assert FORECASTER.forecast(DemandHistory(), (10.0, 20.0), (0.5, 0.9)).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_the_shape_is_horizons_by_levels_and_grows_with_both() -> None:
    rates = FORECASTER.forecast(record(lambda t: 2.0 + t / 100.0, 600.0), (0.0, 60.0, 300.0), (0.5, 0.9, 0.99))
    assert rates.shape == (3, 3)
    assert (np.diff(rates, axis=0) > 0.0).all()
    assert (np.diff(rates, axis=1) > 0.0).all()


@pytest.mark.parametrize("rate_per_s", [1.5, 5.0, 20.0])
@pytest.mark.parametrize("passes_after", [1, 2, 3, 4, 6, 10, 15])
def test_a_doubled_rate_is_asked_for_whole_by_the_first_sample_behind_it_and_not_overdone(
    rate_per_s: float, passes_after: int
) -> None:
    history = record(lambda t: rate_per_s if t < 600.0 else 2.0 * rate_per_s, 600.0 + 15.0 * passes_after)
    assert 1.0 <= forecast(history) / (2.0 * rate_per_s) <= 1.15


@pytest.mark.parametrize("rate_per_s", [2.0, 5.0, 20.0])
def test_poisson_noise_of_short_windows_does_not_fool_it(rate_per_s: float) -> None:
    stream = np.random.default_rng(3)
    moving, ratios = DemandHistory(), []
    for index in range(2400):
        counted = float(stream.poisson(rate_per_s * 15.0)) / 15.0
        moving = moving.append(RateSample(15.0 * index, 15.0 * index + 15.0, counted))
        ratios.append(forecast(moving) / rate_per_s)
    settled = np.array(ratios[16:])
    error = 1.0 / math.sqrt(rate_per_s * 60.0)  # of a mean over a minute
    assert settled.mean() <= 1.0 + 1.7 * error
    assert np.quantile(settled, 0.99) <= 1.0 + 6.5 * error
    assert np.quantile(settled, 0.02) >= 0.97 - 0.6 * error


def test_a_ramp_is_followed_ahead_of_it() -> None:
    def ramp(time_s: float) -> float:
        return 2.0 + 8.0 * min(max((time_s - 300.0) / 600.0, 0.0), 1.0)

    for now_s in range(570, 900, 30):
        assert forecast(record(ramp, now_s)) >= 0.95 * ramp(now_s + LEAD_TIME_S)


def test_the_end_of_a_ramp_is_believed_within_three_minutes() -> None:
    def ramp(time_s: float) -> float:
        return 2.0 + 8.0 * min(time_s / 600.0, 1.0)

    assert forecast(record(ramp, 780.0)) <= 1.1 * 10.0


def test_a_single_high_sample_within_chance_changes_little() -> None:
    def spike(time_s: float) -> float:
        return 5.0 if not 600.0 <= time_s < 615.0 else 6.2  # two standard deviations of 15 s at 5/s

    assert forecast(record(spike, 615.0)) <= 5.0 * 1.15


def test_incomplete_samples_raise_and_never_lower() -> None:
    complete = record(lambda t: 10.0, 600.0)
    low = complete.append(RateSample(600.0, 615.0, 4.0, is_complete=False))
    assert forecast(low) >= forecast(complete) - 1e-9
    high = complete.append(RateSample(600.0, 615.0, 20.0, seen_ratio=0.5, is_complete=False))
    assert 20.0 <= forecast(high) <= 23.0


def test_a_long_outage_keeps_the_level_of_the_last_complete_minute() -> None:
    history = record(lambda t: 10.0, 600.0)
    before = forecast(history)
    for index in range(40):
        history = history.append(RateSample(600.0 + 15.0 * index, 615.0 + 15.0 * index, 5.0, is_complete=False))
        assert forecast(history) >= before - 1e-9


def test_a_rate_that_falls_is_followed_within_a_minute() -> None:
    history = record(lambda t: 10.0 if t < 600.0 else 4.0, 660.0)
    assert forecast(history) <= 4.0 * 1.15


def test_the_first_request_after_silence_is_seen_at_once() -> None:
    history = record(lambda t: 0.0, 600.0).append(RateSample(600.0, 615.0, 1.0 / 15.0))
    assert forecast(history) > 0.0
    burst = record(lambda t: 0.0, 600.0).append(RateSample(600.0, 615.0, 2.0))
    assert forecast(burst) >= 2.0


@pytest.mark.parametrize(
    "horizons_s, levels", [((-1.0,), (0.5,)), ((math.inf,), (0.5,)), ((1.0,), (0.0,)), ((1.0,), (1.0,))]
)
def test_wrong_arguments_are_refused(horizons_s: tuple[float, ...], levels: tuple[float, ...]) -> None:
    with pytest.raises(InvalidInput):
        FORECASTER.forecast(DemandHistory(), horizons_s, levels)


def test_more_arrivals_never_forecast_less() -> None:
    stream = np.random.default_rng(7)
    for _ in range(300):
        counts = stream.poisson(75.0, 24).astype(float)
        more = counts.copy()
        more[-1] += stream.integers(1, 60)
        low, high = DemandHistory(), DemandHistory()
        for index in range(24):
            start_s = 15.0 * index
            low = low.append(RateSample(start_s, start_s + 15.0, counts[index] / 15.0))
            high = high.append(RateSample(start_s, start_s + 15.0, more[index] / 15.0))
        assert forecast(high) >= forecast(low) - 1e-9
