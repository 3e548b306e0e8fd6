from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from optimizer.policy.saturation import PercentageSettings, PercentageVariant, ReplicaLoad, analyze_percentages

VECTORS = Path(__file__).parents[3] / "data" / "vectors" / "wva_saturation_v1.json"
CASES = json.loads(VECTORS.read_text())["cases"]


def _pick(kind: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in CASES if case["input"]["kind"] == kind]


def make_settings(thresholds: dict[str, float]) -> PercentageSettings:
    return PercentageSettings(
        thresholds["kv_cache_threshold_fraction"],
        thresholds["queue_length_threshold_requests"],
        thresholds["kv_spare_trigger_fraction"],
        thresholds["queue_spare_trigger_requests"],
    )


def make_load(reading: dict[str, float]) -> ReplicaLoad:
    return ReplicaLoad(reading["kv_cache_usage_fraction"], reading["queue_length_requests"])


def test_every_vector_is_of_a_known_kind() -> None:
    assert len(_pick("single_cycle")) + len(_pick("closed_loop")) == len(CASES) == 28


@pytest.mark.parametrize("case", _pick("single_cycle"))
def test_one_cycle_finds_what_the_peer_finds(case: dict[str, Any]) -> None:
    variants = [
        PercentageVariant(
            entry["variant_name"],
            entry["cost_per_replica_units"],
            entry["current_replicas"],
            entry["desired_replicas"],
            entry["pending_replicas"],
            tuple(make_load(reading) for reading in entry["replicas"]),
        )
        for entry in case["input"]["variants"]
    ]
    analysis = analyze_percentages(variants, make_settings(case["input"]["thresholds"]))
    expected = case["expected"]
    assert analysis.total_replicas == expected["total_replicas"]
    assert analysis.non_saturated_replicas == expected["non_saturated_replicas"]
    assert analysis.mean_spare_kv_ratio == pytest.approx(expected["avg_spare_kv_fraction"], abs=1e-9)
    assert analysis.mean_spare_queue_requests == pytest.approx(expected["avg_spare_queue_requests"], abs=1e-9)
    assert analysis.is_scale_up is expected["should_scale_up"]
    assert analysis.is_scale_down_safe is expected["scale_down_safe"]
    assert analysis.is_in_transition is expected["in_transition"]
    assert analysis.target_replicas == expected["target_replicas"]


@pytest.mark.parametrize("case", _pick("closed_loop"))
def test_a_loop_goes_the_way_the_peer_goes(case: dict[str, Any]) -> None:
    given, expected = case["input"], case["expected"]
    name, current, desired = given["variant_name"], given["initial_current_replicas"], given["initial_desired_replicas"]
    asked, reached, blocked = [], [], []
    for cycle in given["cycles"]:
        replicas = (make_load(cycle),) * current
        variant = PercentageVariant(name, given["cost_per_replica_units"], current, desired, 0, replicas)
        analysis = analyze_percentages([variant], make_settings(given["thresholds"]))
        desired = analysis.target_replicas[name]
        current = min(desired, given["hpa_max_replicas"])
        asked.append(desired)
        reached.append(current)
        blocked.append(analysis.is_in_transition)
    assert asked == expected["desired_replicas_per_cycle"]
    assert reached == expected["current_replicas_after_cycle"]
    assert blocked == expected["blocked_per_cycle"]


@pytest.mark.parametrize("replicas", [1, 2, 5, 9])
def test_more_load_below_saturation_never_asks_for_fewer_replicas(replicas: int) -> None:
    asked = []
    for percent in range(0, 80):
        load = ReplicaLoad(percent / 100, percent // 20)
        variant = PercentageVariant("v", 1.0, replicas, replicas, 0, (load,) * replicas)
        asked.append(analyze_percentages([variant], PercentageSettings()).target_replicas["v"])
    assert asked == sorted(asked)
    assert {asked[0], asked[-1]} == {max(replicas - 1, 1), replicas + 1}
