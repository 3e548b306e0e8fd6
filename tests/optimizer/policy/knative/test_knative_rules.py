"""The rules of Knative's autoscaler answer as the peer does, in every published case."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from optimizer.policy.knative.scaling import Load, ScaleState, start_scaling, step_scaling
from optimizer.policy.knative.settings import KnativeSettings, LoadMetric, bound_replicas, iterate_faults
from optimizer.policy.knative.window import BucketWindow, compute_smoothing_coefficient

VECTORS = Path(__file__).parents[3] / "data" / "vectors" / "knative_kpa.json"
CASES: list[dict[str, Any]] = json.loads(VECTORS.read_text())["cases"]
NAMES = {
    "annotation_target_requests": "total",
    "annotation_utilization_ratio": "utilization_ratio",
    "container_concurrency_requests": "container_concurrency",
}


def pick(function: str) -> list[Any]:
    cases = [case for case in CASES if case["name"].split("/")[0] == function]
    return [pytest.param(case["input"], case["expected"], id=case["name"]) for case in cases]


def make_settings(given: dict[str, Any]) -> KnativeSettings:
    known = KnativeSettings.__dataclass_fields__
    return replace(KnativeSettings(), **{key: value for key, value in given.items() if key in known})


def test_every_case_is_looked_at() -> None:
    functions = {case["name"].split("/")[0] for case in CASES}
    assert functions == {
        "scale",
        "window_average",
        "weighted_coefficient",
        "weighted_average",
        "target",
        "bounds",
        "validate",
    }
    assert len(CASES) == 70


@pytest.mark.parametrize("given, expected", pick("scale"))
def test_it_scales_as_the_peer(given: dict[str, Any], expected: dict[str, Any]) -> None:
    state = ScaleState(given["panic_since_t_s"], given["max_panic_replicas"])
    answers = []
    for index, tick in enumerate(given["ticks"]):
        given = {**given, **given.get("updates", {}).get(str(index), {})}
        load = Load(tick["ready_replicas"], tick["stable_requests"], tick["panic_requests"], given["reachable"])
        answer, state = step_scaling(
            state,
            load,
            tick["t_s"],
            make_settings(given),
            target_requests=given["target_requests"],
            total_requests=given["total_requests"],
        )
        answers.append(answer)
    assert [answer.desired_replicas is not None for answer in answers] == expected["valid"]
    assert [answer.desired_replicas or 0 for answer in answers] == expected["desired_replicas"]
    assert [answer.is_panicking for answer in answers] == expected["panic"]
    if "excess_burst_requests" in expected:
        for answer, burst in zip(answers, expected["excess_burst_requests"], strict=True):
            assert answer.excess_burst_requests == pytest.approx(burst, abs=1)  # as the peer's own tests compare


@pytest.mark.parametrize("given, expected", pick("window_average"))
def test_a_window_is_averaged_as_the_peer_does(given: dict[str, Any], expected: dict[str, Any]) -> None:
    window = BucketWindow(given["window_s"])
    for sample in given["samples"]:
        window = window.record(sample["t_s"], sample["value_requests"])
    assert window.compute_mean(given["now_s"]) == pytest.approx(expected["average_requests"], abs=1e-6)


@pytest.mark.parametrize("given, expected", pick("weighted_coefficient"))
def test_the_weight_of_the_newest_second_is_the_peers(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert compute_smoothing_coefficient(given["buckets"]) == pytest.approx(expected["coefficient"], abs=1e-11)


@pytest.mark.parametrize("given, expected", pick("weighted_average"))
def test_a_window_is_weighted_as_the_peer_does(given: dict[str, Any], expected: dict[str, Any]) -> None:
    window = BucketWindow(given["window_s"])
    for second, value in enumerate(reversed(given["newest_first_requests"])):
        window = window.record(100.0 + second, value)
    now_s = 100.0 + len(given["newest_first_requests"]) - 1 + given["silent_s"]
    assert window.compute_weighted_mean(now_s) == pytest.approx(expected["average_requests"], abs=1e-8)


@pytest.mark.parametrize("given, expected", pick("target"))
def test_targets_are_the_peers(given: dict[str, Any], expected: dict[str, Any]) -> None:
    named = {NAMES.get(key, key): value for key, value in given.items() if value is not None}
    metric = LoadMetric.RATE if named.pop("metric") == "rps" else LoadMetric.CONCURRENCY
    settings = replace(KnativeSettings(metric=metric), **named)
    assert settings.total_requests == pytest.approx(expected["total_requests"])
    assert settings.target_requests == pytest.approx(expected["target_requests"])


@pytest.mark.parametrize("given, expected", pick("bounds"))
def test_bounds_are_the_peers(given: dict[str, Any], expected: dict[str, Any]) -> None:
    bounded = bound_replicas(given["desired_replicas"], given["min_replicas"], given["max_replicas"])
    assert bounded == expected["replicas"]


@pytest.mark.parametrize("given, expected", pick("validate"))
def test_what_the_peer_refuses_is_refused(given: dict[str, Any], expected: dict[str, Any]) -> None:
    named: dict[str, Any] = {
        key.replace("_percent", "_ratio"): value / 100 if key.endswith("_percent") else value
        for key, value in given.items()
    }
    named = {key: float(value) if key.endswith("_s") else value for key, value in named.items()}
    settings = replace(KnativeSettings(), **named)
    faults = list(iterate_faults(settings))
    assert (not faults) == expected["peer_accepts"]
    if faults:
        assert {name for name, _, _ in faults} <= {*named, "min_replicas"}


def test_the_defaults_are_sound() -> None:
    assert list(iterate_faults(KnativeSettings())) == []


def test_a_restart_with_several_replicas_starts_in_panic() -> None:
    assert start_scaling(8, 100.0) == ScaleState(100.0, 8)
    assert start_scaling(1, 100.0) == ScaleState()


def test_silent_seconds_at_the_end_lower_a_weighted_mean() -> None:
    window = BucketWindow(5)
    assert window.compute_mean(3.0) is window.compute_weighted_mean(3.0) is None
    for second in range(5):
        window = window.record(float(second), 10.0)
    means = [window.compute_weighted_mean(4.0 + silent) for silent in range(7)]
    assert means == sorted((mean or 0.0 for mean in means), reverse=True)
    assert means[-1] == 0.0
