from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optimizer.demand import LengthHistory, estimate_workload
from optimizer.domain import DemandSource, DemandWindow, LengthDistribution, LengthSums, ReasonCode, Workload

EDGES = (100.0, 300.0, 1000.0, 3000.0)
EXPECTED = Workload(0.0, LengthDistribution(500.0, 3e5), LengthDistribution(100.0, 2e4), 0.2)


def sum_lengths(lengths: np.ndarray) -> LengthSums:
    counts = np.histogram(lengths, bins=[0.0, *EDGES, np.inf])[0]
    return LengthSums(len(lengths), float(lengths.sum()), float((lengths**2).sum()), EDGES, tuple(map(float, counts)))


def draw_window(index: int, requests: int, output_tokens: float, seed: int = 0) -> DemandWindow:
    stream = np.random.default_rng((seed, index))
    return DemandWindow(
        15.0 * index,
        15.0 * index + 15.0,
        DemandSource.HTTP_REQUESTS,
        arrivals=float(requests),
        input_lengths=sum_lengths(stream.lognormal(6.5, 0.8, requests)),
        output_lengths=sum_lengths(output_tokens * stream.lognormal(-0.25, 0.7, requests)),
        prompt_tokens=1000.0,
        cached_tokens=300.0,
    )


def play(windows: list[DemandWindow]) -> LengthHistory:
    history = LengthHistory()
    for window in windows:
        history = history.add([window], window.end_s)
    return history


def get_output_tokens(history: LengthHistory) -> float:
    workload, _ = estimate_workload(history, 1.0, None)
    assert workload is not None
    return workload.output_lengths.mean_tokens


def test_measured_lengths_come_out_within_five_percent_after_a_minute_of_steady_traffic() -> None:
    windows = [draw_window(index, 75, 200.0) for index in range(8)]
    workload, reason = estimate_workload(play(windows), 5.0, None)
    assert reason is None
    assert workload is not None
    sums = [window.output_lengths for window in windows if window.output_lengths is not None]
    truth = sum(entry.tokens for entry in sums) / sum(entry.requests for entry in sums)
    assert workload.output_lengths.mean_tokens == pytest.approx(truth, rel=0.05)
    assert workload.arrival_rate_per_s == 5.0
    assert workload.cached_ratio == pytest.approx(0.3)
    assert workload.input_lengths.edges_tokens == EDGES
    assert workload.input_lengths.cumulative_ratio == tuple(sorted(workload.input_lengths.cumulative_ratio))


def test_noise_moves_the_estimate_little() -> None:
    history, estimates = LengthHistory(), []
    for index in range(200):
        history = history.add([draw_window(index, 45, 200.0, seed=1)], 15.0 * index + 15.0)
        estimates.append(get_output_tokens(history))
    settled = np.array(estimates[40:])
    assert settled.std() / settled.mean() < 0.04


def test_a_change_of_lengths_is_followed_within_a_minute() -> None:
    windows = [draw_window(index, 75, 100.0 if index < 40 else 400.0) for index in range(44)]
    assert get_output_tokens(play(windows)) == pytest.approx(400.0, rel=0.25)
    assert get_output_tokens(play(windows[:40])) == pytest.approx(100.0, rel=0.1)


def test_few_requests_are_blended_with_what_is_expected() -> None:
    workload, reason = estimate_workload(play([draw_window(0, 6, 1000.0)]), 1.0, EXPECTED)
    assert reason is not None
    assert reason.code is ReasonCode.FEW_SAMPLES
    assert workload is not None
    assert 100.0 < workload.output_lengths.mean_tokens < 500.0


def test_without_any_request_the_expected_workload_stands_in() -> None:
    workload, reason = estimate_workload(LengthHistory(), 3.0, EXPECTED)
    assert workload == replace(EXPECTED, arrival_rate_per_s=3.0)
    assert reason is not None


def test_nothing_measured_and_nothing_expected_is_absent_with_a_reason() -> None:
    workload, reason = estimate_workload(LengthHistory(), 3.0, None)
    assert workload is None
    assert reason is not None
    assert reason.code is ReasonCode.NO_DATA


def test_silence_makes_nothing_forgotten() -> None:
    history = play([draw_window(index, 75, 200.0) for index in range(8)])
    quiet = DemandWindow(120.0, 7200.0, DemandSource.HTTP_REQUESTS, arrivals=0.0)
    assert history.add([quiet], 7200.0) == history


def test_a_window_without_a_shape_leaves_the_shape_as_it_is() -> None:
    shapeless = replace(draw_window(9, 50, 200.0), output_lengths=LengthSums(50.0, 1e4, 4e6))
    workload, _ = estimate_workload(play([draw_window(8, 50, 200.0), shapeless]), 1.0, None)
    assert workload is not None
    assert workload.output_lengths.edges_tokens == EDGES
