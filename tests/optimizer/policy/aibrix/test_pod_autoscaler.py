from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from optimizer.policy.aibrix import (
    AutoscalerState,
    MeanWindow,
    OldAutoscalerState,
    OldTick,
    ScalingSettings,
    Strategy,
    Tick,
    recommend_apa,
    recommend_kpa,
    stabilize,
    step_autoscaler,
    step_old_autoscaler,
)

FOLDER = Path(__file__).parents[3] / "data" / "vectors"
CASES = {name: json.loads((FOLDER / f"aibrix_{name}.json").read_text())["cases"] for name in ("kpa", "apa")}
NAMES = {
    "target_metric_units": "target",
    "activation_replicas": "activation_replicas",
    "window_s": "stable_window_s",
    "scale_up_cooldown_s": "scale_up_cooldown_s",
    "scale_down_cooldown_s": "scale_down_cooldown_s",
    "stable_window_s": "stable_window_s",
    "panic_window_s": "panic_window_s",
    "scale_down_delay_s": "scale_down_delay_s",
    "min_replicas": "min_replicas",
    "max_replicas": "max_replicas",
}


def _pick(name: str, operation: str, version: str = "head") -> list[Any]:
    return [
        pytest.param(case, id=f"{name}-{case['name']}")
        for case in CASES[name]
        if case["input"]["operation"] == operation and case["input"].get("version", "head") == version
    ]


def make_settings(given: dict[str, float]) -> ScalingSettings:
    figures: dict[str, Any] = {NAMES.get(name, name): value for name, value in given.items()}
    return ScalingSettings(**{"target": 1.0, **figures})


def test_every_vector_is_of_a_known_kind() -> None:
    kinds = [("recommend", "head"), ("stabilize", "head")]
    kinds += [(kind, version) for kind in ("window_mean", "control_loop") for version in ("head", "v0.4.0")]
    found = [len(_pick(name, *kind)) for name in CASES for kind in kinds]
    assert sum(found) == len(CASES["kpa"]) + len(CASES["apa"]) == 99


@pytest.mark.parametrize("case", _pick("kpa", "recommend"))
def test_kpa_recommends_what_the_peer_recommends(case: dict[str, Any]) -> None:
    given = case["input"]
    wanted, is_panic = recommend_kpa(
        make_settings(given["settings"]),
        given["current_replicas"],
        given["stable_mean_metric_units"],
        given["panic_mean_metric_units"],
    )
    assert wanted == case["expected"]["recommended_replicas"]
    assert is_panic is (case["expected"]["mode"] == "panic")


@pytest.mark.parametrize("case", _pick("apa", "recommend"))
def test_apa_recommends_what_the_peer_recommends(case: dict[str, Any]) -> None:
    given = case["input"]
    settings = make_settings(given["settings"])
    wanted = recommend_apa(settings, given["current_replicas"], given["stable_mean_metric_units"])
    assert wanted == case["expected"]["recommended_replicas"]


@pytest.mark.parametrize("case", [*_pick("kpa", "window_mean"), *_pick("kpa", "window_mean", "v0.4.0")])
def test_windows_keep_the_samples_that_the_peer_keeps(case: dict[str, Any]) -> None:
    window = MeanWindow(case["input"]["window_s"], is_old=case["input"]["version"] != "head")
    means = []
    for sample in case["input"]["samples"]:
        window = window.record(sample["time_s"], sample["value_metric_units"])
        means.append(window.mean)
    assert means == pytest.approx(case["expected"]["mean_after_each_sample_metric_units"], rel=1e-9)


@pytest.mark.parametrize("case", _pick("kpa", "stabilize"))
def test_recommendations_are_stabilized_as_the_peer_does(case: dict[str, Any]) -> None:
    settings = make_settings(case["input"]["settings"])
    history: tuple[tuple[float, int], ...] = ()
    answers = []
    for step in case["input"]["steps"]:
        answer, history = stabilize(
            history, settings, step["time_s"], step["recommended_replicas"], step["current_replicas"]
        )
        answers.append(answer)
    assert answers == case["expected"]["stabilized_replicas"]


@pytest.mark.parametrize("case", [*_pick("kpa", "control_loop"), *_pick("apa", "control_loop")])
def test_a_loop_of_the_head_goes_the_way_the_peer_goes(case: dict[str, Any], request: pytest.FixtureRequest) -> None:
    strategy = Strategy.KPA if "[kpa-" in request.node.name else Strategy.APA
    settings = make_settings(case["input"]["settings"])
    state, replicas = AutoscalerState.start(settings), case["input"]["initial_replicas"]
    course = []
    for tick in case["input"]["ticks"]:
        seen = Tick(replicas, tick["pod_values_metric_units"])
        replicas, state = step_autoscaler(state, seen, tick["time_s"], settings, strategy)
        course.append(replicas)
    assert course == case["expected"]["replicas_after_each_tick"]


@pytest.mark.parametrize("case", [*_pick("kpa", "control_loop", "v0.4.0"), *_pick("apa", "control_loop", "v0.4.0")])
def test_a_loop_of_v0_4_goes_the_way_the_peer_goes(case: dict[str, Any], request: pytest.FixtureRequest) -> None:
    strategy = Strategy.KPA if "[kpa-" in request.node.name else Strategy.APA
    settings = make_settings(case["input"]["settings"])
    replicas = case["input"]["initial_replicas"]
    state = OldAutoscalerState.start(settings, replicas)
    course, panics = [], []
    for tick in case["input"]["ticks"]:
        ready = replicas if tick["ready_replicas"] is None else tick["ready_replicas"]
        seen = OldTick(replicas, ready, tick["pod_values_metric_units"])
        replicas, state = step_old_autoscaler(state, seen, tick["time_s"], settings, strategy)
        course.append(replicas)
        panics.append(state.is_panicking)
    assert course == case["expected"]["replicas_after_each_tick"]
    assert panics == case["expected"].get("panicking_after_each_tick", panics)


@pytest.mark.parametrize("replicas", [1, 4, 9])
def test_more_load_never_means_fewer_replicas(replicas: int) -> None:
    settings = ScalingSettings(target=10.0, min_replicas=0, max_replicas=50)
    loads = [0.5 * step for step in range(200)]
    for asked in (
        [recommend_apa(settings, replicas, load) for load in loads],
        [recommend_kpa(settings, replicas, load, load)[0] for load in loads if load >= 10.0 * max(replicas, 2)],
    ):
        assert asked == sorted(asked)


def test_a_count_beyond_32_bits_becomes_the_minimum() -> None:
    settings = ScalingSettings(target=1.0, min_replicas=2, max_replicas=500)
    assert recommend_apa(settings, 200, 2e9) == 2
