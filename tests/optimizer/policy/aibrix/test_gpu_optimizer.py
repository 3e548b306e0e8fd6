from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizer.policy.aibrix import (
    AibrixProfile,
    LoadCell,
    OptimizedDeployment,
    OptimizerState,
    cluster_requests,
    read_document,
    solve_mix,
    step_optimizer,
)

VECTORS = Path(__file__).parents[3] / "data" / "vectors" / "aibrix_trace.json"
GAUGES = [case for case in json.loads(VECTORS.read_text())["cases"] if case["input"]["operation"] == "published_gauge"]


def make_profile(given: dict[str, Any]) -> AibrixProfile:
    outputs, inputs = given["indexes"]
    tputs = tuple(tuple(row) for row in given["tputs"])
    return AibrixProfile(given["gpu"], given["cost"], tputs, tuple(outputs), tuple(inputs))


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in GAUGES])
def test_the_gauge_goes_the_way_the_peer_goes(case: dict[str, Any]) -> None:
    given, expected = case["input"], case["expected"]
    profiles = {profile["gpu"]: make_profile(profile) for profile in given["profiles"]}
    deployments = [
        OptimizedDeployment(entry["name"], entry["spec_replicas"], entry["min_replicas_label"])
        for entry in given["deployments"]
    ]
    state = OptimizerState.start(deployments)
    assert state.gauge == expected["gauge_at_start"]
    state = step_optimizer(state, None, 0.0, profiles, deployments)
    assert state.gauge == expected["gauge_after_first_empty_loop"]
    courses: dict[str, list[int]] = {name: [] for name in expected["gauge_after_each_window"]}
    for index, window in enumerate(given["completed_requests_by_bucket_per_window"], 1):
        document = None
        if window is not None:
            meta = {"meta_v": 4, "meta_interval_sec": 10, "meta_precision": 10, "meta_total_reqs": sum(window.values())}
            document = read_document({**window, **meta})
        state = step_optimizer(state, document, given["loop_period_s"] * index, profiles, deployments)
        for name, course in courses.items():
            course.append(state.gauge[name])
    assert courses == expected["gauge_after_each_window"]


def test_hundredths_become_whole_replicas_and_idle_ones_are_not_divided() -> None:
    state = OptimizerState(gauge={"a": 235}, is_hundredths=True)
    assert state.get_replicas("a") == 3
    assert OptimizerState(gauge={"a": 3}).get_replicas("a") == 3


def test_requests_alike_are_one_cluster_and_the_rest_is_noise() -> None:
    near = {(10.0, 6.0): 5.0, (10.4, 6.0): 5.0, (10.8, 6.1): 1.0, (14.0, 6.0): 9.0}
    (cluster,) = cluster_requests(near)
    assert cluster.requests == 11.0
    assert cluster.log2_input_tokens == pytest.approx((50.0 + 52.0 + 10.8) / 11.0)
    assert cluster_requests({(10.0, 6.0): 9.0}) == ()
    assert cluster_requests({}) == ()
    assert len(cluster_requests({(10.0, 6.0): 10.0, (10.6, 6.0): 10.0})) == 2


def test_the_mix_is_the_cheapest_of_all_ways_to_share_the_slices() -> None:
    generator = np.random.default_rng(7)
    costs = {"a": 1.0, "b": 1.7}
    for _ in range(25):
        cells = [
            LoadCell(
                float(generator.uniform(1.0, 40.0)),
                {name: float(generator.uniform(1.0, 8.0)) for name in costs},
            )
            for _ in range(2)
        ]
        best = math.inf
        for slices in itertools.product(range(5), repeat=len(cells)):
            pairs = list(zip(slices, cells, strict=True))
            first = sum(share / 4 * cell.rate / cell.capacity["a"] for share, cell in pairs)
            second = sum((4 - share) / 4 * cell.rate / cell.capacity["b"] for share, cell in pairs)
            best = min(best, math.ceil(first - 1e-6) * costs["a"] + math.ceil(second - 1e-6) * costs["b"])
        mix = solve_mix(cells, costs)
        assert mix is not None
        assert sum(mix[name] * cost for name, cost in costs.items()) == pytest.approx(best)


def test_what_one_type_cannot_serve_goes_to_the_other() -> None:
    cells = [LoadCell(10.0, {"a": 0.0, "b": 2.0}), LoadCell(10.0, {"a": 5.0, "b": 5.0})]
    assert solve_mix(cells, {"a": 1.0, "b": 3.0}) == {"a": 2, "b": 5}


@pytest.mark.parametrize("rate", [0.5, 3.0, 20.0])
def test_more_load_never_costs_less(rate: float) -> None:
    costs = {"a": 1.0, "b": 1.7}

    def price(factor: float) -> float:
        mix = solve_mix([LoadCell(rate * factor, {"a": 2.0, "b": 3.0}), LoadCell(rate, {"a": 4.0, "b": 9.0})], costs)
        assert mix is not None
        return sum(mix[name] * cost for name, cost in costs.items())

    assert price(1.0) <= price(1.3) <= price(2.0)
