"""What arrived becomes steps whose requests and tokens add up to what was sent."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.demo.demand_record import to_demand_record
from optimizer.domain import ModelKey

KEY = ModelKey("default", "llama-8b")


def make_report(duration_s: float, requests: list[tuple[float, int, int]]) -> dict[str, Any]:
    return {
        "begin_s": 1000.0,
        "now_s": 1000.0 + duration_s,
        "models": [{"namespace": "default", "model_id": "llama-8b"}, {"namespace": "default", "model_id": "silent"}],
        "requests": [[0, *request] for request in requests],
    }


def test_every_request_is_in_one_step() -> None:
    requests = [(0.0, 100, 10), (14.9, 300, 30), (15.0, 200, 20), (44.0, 200, 20), (46.0, 999, 99)]
    record = to_demand_record(make_report(47.0, requests), step_s=15.0)
    assert set(record) == {KEY}
    steps = record[KEY]
    assert [(step.start_s, step.end_s) for step in steps] == [(0.0, 15.0), (15.0, 30.0), (30.0, 45.0)]
    assert [step.arrival_rate_per_s * 15.0 for step in steps] == pytest.approx([2.0, 1.0, 1.0])
    assert steps[0].workload.input_lengths.mean_tokens == 200.0
    assert steps[0].workload.output_lengths.mean_square_tokens2 == pytest.approx((100 + 900 + 400 + 400) / 4)


def test_lengths_follow_a_shift_of_the_mix_and_outlive_silence() -> None:
    early = [(float(second), 100, 10) for second in range(120)]
    late = [(float(second), 900, 90) for second in range(240, 360)]
    steps = to_demand_record(make_report(480.0, early + late), step_s=15.0)[KEY]
    means = {step.start_s: step.workload.input_lengths.mean_tokens for step in steps}
    assert means[0.0] == means[120.0] == means[225.0] == 100.0
    assert means[240.0] == means[465.0] == 900.0
    assert steps[10].arrival_rate_per_s == 0.0


def test_the_shape_of_lengths_is_a_cumulative_share() -> None:
    lengths = to_demand_record(make_report(15.0, [(0.0, 1, 1), (1.0, 40, 50)]), 15.0)[KEY][0].workload.output_lengths
    shares = dict(zip(lengths.edges_tokens, lengths.cumulative_ratio, strict=True))
    assert (shares[1.0], shares[20.0], shares[50.0]) == (0.5, 0.5, 1.0)


def test_less_than_a_step_is_no_record() -> None:
    assert to_demand_record(make_report(14.0, [(1.0, 1, 1)]), 15.0) == {}
    assert to_demand_record(make_report(60.0, []), 15.0) == {}
