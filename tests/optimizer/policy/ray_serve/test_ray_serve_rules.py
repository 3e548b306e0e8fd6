"""Ray Serve's rules answer as the peer does, in every published case."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from optimizer.policy.ray_serve import (
    DelayState,
    LoadPoint,
    RaySettings,
    apply_factor,
    compute_time_weighted_mean,
    iterate_faults,
    merge_total,
    step_delay,
    step_ray_serve,
)

VECTORS = Path(__file__).parents[3] / "data" / "vectors" / "ray_serve.json"
CASES: list[dict[str, Any]] = json.loads(VECTORS.read_text())["cases"]


def pick(function: str) -> list[Any]:
    cases = [case for case in CASES if case["name"].split("/")[0] == function]
    return [pytest.param(case["input"], case["expected"], id=case["name"]) for case in cases]


def make_settings(given: dict[str, Any]) -> RaySettings:
    known = RaySettings.__dataclass_fields__
    return replace(RaySettings(max_replicas=100), **{key: value for key, value in given.items() if key in known})


def make_points(points: Sequence[dict[str, float]]) -> tuple[LoadPoint, ...]:
    return tuple(LoadPoint(point["t_s"], point["value_requests"]) for point in points)


def test_every_case_is_looked_at() -> None:
    functions = {case["name"].split("/")[0] for case in CASES}
    assert functions == {"scaling_factor", "policy", "delay", "merge_total", "time_weighted_mean", "validate"}
    assert len(CASES) == 44


@pytest.mark.parametrize("given, expected", pick("scaling_factor"))
def test_the_gain_is_applied_as_the_peer_does(given: dict[str, Any], expected: dict[str, Any]) -> None:
    settings = make_settings(given)
    assert apply_factor(given["desired_replicas"], given["current_replicas"], settings) == expected["replicas"]


@pytest.mark.parametrize("given, expected", pick("policy"))
def test_it_scales_as_the_peer(given: dict[str, Any], expected: dict[str, Any]) -> None:
    state, settings, decided = DelayState(), make_settings(given), []
    for tick in given["ticks"]:
        replicas, state = step_ray_serve(
            state,
            tick["total_requests"],
            current=tick["current_replicas"],
            target=tick["target_replicas"],
            now_s=tick["t_s"],
            settings=settings,
        )
        decided.append(replicas)
    assert decided == expected["decision_replicas"]


@pytest.mark.parametrize("given, expected", pick("delay"))
def test_a_wish_waits_as_long_as_with_the_peer(given: dict[str, Any], expected: dict[str, Any]) -> None:
    state, settings, targets = DelayState(), make_settings(given), []
    target = given["start_target_replicas"]
    for now_s, desired in zip(given["t_s"], given["desired_replicas"], strict=True):
        counts_loops = given["version"] == "counter"
        target, state = step_delay(state, desired, target, now_s, settings, counts_loops=counts_loops)
        targets.append(target)
    assert targets == expected["target_replicas"]


@pytest.mark.parametrize("given, expected", pick("merge_total"))
def test_series_are_merged_as_the_peer_does(given: dict[str, Any], expected: dict[str, Any]) -> None:
    merged = merge_total([make_points(points) for points in given["series"]])
    assert [point.time_s for point in merged] == [point["t_s"] for point in expected["total"]]
    wanted = [point["value_requests"] for point in expected["total"]]
    assert [point.requests for point in merged] == pytest.approx(wanted)


@pytest.mark.parametrize("given, expected", pick("time_weighted_mean"))
def test_the_mean_is_weighted_by_time_as_with_the_peer(given: dict[str, Any], expected: dict[str, Any]) -> None:
    points = make_points(given["series"])
    mean = compute_time_weighted_mean(points, given["last_value_holds_s"], given["window_start_s"])
    assert mean == pytest.approx(expected["mean_requests"], abs=1e-8)


@pytest.mark.parametrize("given, expected", pick("validate"))
def test_what_the_peer_refuses_is_refused(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert (not list(iterate_faults(make_settings(given)))) == expected["peer_accepts"]


def test_the_defaults_are_sound() -> None:
    assert list(iterate_faults(RaySettings())) == []


def test_nothing_spans_no_time() -> None:
    assert compute_time_weighted_mean((), 1.0) is None
    assert compute_time_weighted_mean((LoadPoint(1.0, 5.0),), 0.0) is None
    assert compute_time_weighted_mean((LoadPoint(1.0, 5.0),), 2.0) == 5.0


def test_more_load_never_gives_fewer_replicas() -> None:
    settings = RaySettings(max_replicas=100, upscale_delay_s=0.0, downscale_delay_s=0.0)
    counts = [
        step_ray_serve(DelayState(), total / 4, current=10, target=10, now_s=0.0, settings=settings)[0]
        for total in range(200)
    ]
    assert counts == sorted(counts)
