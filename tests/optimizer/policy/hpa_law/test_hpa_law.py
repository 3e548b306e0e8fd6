"""The stand-in for HPA answers as the controller does: 213 published cases, and its damping over time."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from optimizer.errors import InvalidInput
from optimizer.policy.hpa_law.behavior import Behavior, PolicyType, ScalingRules, SelectPolicy, StepPolicy
from optimizer.policy.hpa_law.law import (
    HpaSpec,
    HpaState,
    MetricTarget,
    ReplicaCounts,
    SyncOutcome,
    TargetType,
    propose_replicas,
    step_hpa,
)

VECTORS = Path(__file__).parents[3] / "data" / "vectors" / "hpa_external.json"
CASES: list[dict[str, Any]] = json.loads(VECTORS.read_text())["cases"]

FREE_UP = ScalingRules((StepPolicy(PolicyType.PODS, 1000),), tolerance_ratio=0.0)
FREE_DOWN = ScalingRules((StepPolicy(PolicyType.PERCENT, 100),), tolerance_ratio=0.0)
RECOMMENDED = HpaSpec(min_replicas=0, max_replicas=256, behavior=Behavior(FREE_UP, FREE_DOWN))


def to_milli(value: float) -> int:
    return math.ceil(Decimal(str(value)) * 1000)


def to_rules(policies: list[list[Any]], tolerance_ratio: float) -> ScalingRules:
    return ScalingRules(
        tuple(StepPolicy(PolicyType(kind), value) for kind, value in policies), tolerance_ratio=tolerance_ratio
    )


def to_spec(given: dict[str, Any]) -> HpaSpec:
    amount = given["target_average_value" if "target_average_value" in given else "target_value"]
    up = given.get("tolerance_scale_up", given["tolerance"])
    down = given.get("tolerance_scale_down", given["tolerance"])
    written = given.get("behavior", {"scale_up": [["Pods", 2**31]], "scale_down": [["Percent", 100]]})
    behavior = None
    if written != "none":
        behavior = Behavior(to_rules(written["scale_up"], up), to_rules(written["scale_down"], down))
    return HpaSpec(
        min_replicas=given.get("min_replicas", 0),
        max_replicas=given.get("max_replicas", 2**31 - 1),
        targets=(MetricTarget(TargetType(given["target_type"]), to_milli(amount)),),
        behavior=behavior,
        tolerance_ratio=given["tolerance"],
    )


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_answers_as_published(case: dict[str, Any]) -> None:
    given, expected = case["input"], case["expected"]
    spec = to_spec(given)
    counts = ReplicaCounts(given["current_replicas"], given["status_replicas"], given["ready_replicas"])
    values = tuple(to_milli(value) for value in given.get("metric_items", [given["metric_sum"]]))
    if "proposal" not in expected:
        assert propose_replicas(spec, spec.targets[0], values, counts) == expected["desired_replicas"]
        return
    sync, _ = step_hpa(spec, HpaState(), counts, [values], now_s=0.0)
    assert (sync.replicas, sync.proposal) == (expected["desired_replicas"], expected["proposal"])


def test_the_recommended_autoscaler_reaches_any_count_in_one_sync() -> None:
    for present in range(65):
        for wanted in range(65):
            counts = ReplicaCounts(present, present, present)
            sync, _ = step_hpa(RECOMMENDED, HpaState(), counts, [(1000 * wanted,)], now_s=0.0)
            assert sync.replicas == wanted


def test_a_tolerance_of_a_tenth_loses_340_of_the_65_by_65_steps() -> None:
    spec = HpaSpec(min_replicas=0, max_replicas=64)
    lost = sum(
        propose_replicas(spec, spec.targets[0], (1000 * wanted,), ReplicaCounts(present, present, present)) != wanted
        for present in range(65)
        for wanted in range(65)
    )
    assert lost == 340


def test_holds_when_the_metric_cannot_be_read() -> None:
    sync, state = step_hpa(RECOMMENDED, HpaState(), ReplicaCounts(7, 7, 7), [None], now_s=0.0)
    assert (sync.replicas, sync.proposal, sync.outcome) == (7, None, SyncOutcome.METRIC_FAILED)
    assert state == HpaState()


def test_with_one_of_two_metrics_missing_it_may_grow_but_not_shrink() -> None:
    spec = HpaSpec(0, 64, (MetricTarget(), MetricTarget()), Behavior(FREE_UP, FREE_DOWN))
    counts = ReplicaCounts(5, 5, 5)
    assert step_hpa(spec, HpaState(), counts, [(9000,), None], 0.0)[0].replicas == 9
    assert step_hpa(spec, HpaState(), counts, [(2000,), None], 0.0)[0].replicas == 5
    assert step_hpa(spec, HpaState(), counts, [(2000,), (3000,)], 0.0)[0].replicas == 3


def follow(spec: HpaSpec, start: int, wanted: list[int], sync_s: float = 15.0) -> list[int]:
    state, present, seen = HpaState(), start, []
    for index, number in enumerate(wanted):
        counts = ReplicaCounts(present, present, present)
        sync, state = step_hpa(spec, state, counts, [(1000 * number,)], now_s=index * sync_s)
        present = sync.replicas
        seen.append(present)
    return seen


def test_a_downward_window_keeps_the_highest_proposal_of_its_span() -> None:
    down = ScalingRules(FREE_DOWN.policies, stabilization_window_s=60.0, tolerance_ratio=0.0)
    spec = HpaSpec(1, 64, behavior=Behavior(FREE_UP, down))
    assert follow(spec, 2, [8, 3, 3, 3, 3, 3]) == [8, 8, 8, 8, 3, 3]


def test_an_upward_window_waits_for_the_lowest_proposal_of_its_span() -> None:
    up = ScalingRules(FREE_UP.policies, stabilization_window_s=45.0, tolerance_ratio=0.0)
    spec = HpaSpec(1, 64, behavior=Behavior(up, FREE_DOWN))
    assert follow(spec, 2, [2, 8, 8, 8, 8]) == [2, 2, 2, 8, 8]


def test_without_a_behavior_a_fall_waits_five_minutes() -> None:
    seen = follow(HpaSpec(1, 64, tolerance_ratio=0.0), 4, [4] + [1] * 22)
    assert seen[:20] == [4] * 20
    assert seen[20:] == [1] * 3


def test_step_limits_count_from_the_start_of_their_period() -> None:
    up = ScalingRules((StepPolicy(PolicyType.PODS, 3, period_s=60.0),), tolerance_ratio=0.0)
    spec = HpaSpec(1, 64, behavior=Behavior(up, FREE_DOWN))
    assert follow(spec, 1, [32] * 9) == [4, 4, 4, 4, 7, 7, 7, 7, 10]


def test_a_disabled_direction_never_moves() -> None:
    down = ScalingRules((), SelectPolicy.DISABLED, tolerance_ratio=0.0)
    spec = HpaSpec(1, 64, behavior=Behavior(FREE_UP, down))
    assert follow(spec, 6, [9, 2, 2]) == [9, 9, 9]


def test_select_min_takes_the_tightest_policy() -> None:
    policies = (StepPolicy(PolicyType.PODS, 4), StepPolicy(PolicyType.PERCENT, 50))
    up = ScalingRules(policies, SelectPolicy.MIN, tolerance_ratio=0.0)
    assert follow(HpaSpec(1, 64, behavior=Behavior(up, FREE_DOWN)), 2, [32, 32, 32]) == [3, 5, 8]


def test_late_releases_leave_only_the_zero_they_went_to_themselves() -> None:
    spec = HpaSpec(0, 64, behavior=RECOMMENDED.behavior, wakes_only_own_zero=True)
    assert follow(spec, 0, [3, 3]) == [0, 0]
    assert follow(spec, 1, [5, 0, 4, 0, 1]) == [5, 0, 4, 0, 1]


def test_a_positive_minimum_switches_it_off_at_zero() -> None:
    sync, _ = step_hpa(HpaSpec(1, 64), HpaState(), ReplicaCounts(0, 0, 0), [(5000,)], now_s=0.0)
    assert (sync.replicas, sync.outcome) == (0, SyncOutcome.DISABLED)


def test_memory_does_not_grow() -> None:
    state = HpaState()
    spec = HpaSpec(1, 64, behavior=Behavior())
    for index in range(500):
        counts = ReplicaCounts(4, 4, 4)
        _, state = step_hpa(spec, state, counts, [(1000 * (1 + index % 7),)], now_s=15.0 * index)
    assert len(state.proposals) <= 20
    assert len(state.steps) <= 2


def test_wrong_calls_name_the_field() -> None:
    with pytest.raises(InvalidInput, match="min_replicas"):
        HpaSpec(min_replicas=5, max_replicas=4)
    with pytest.raises(InvalidInput, match="targets"):
        HpaSpec(targets=())
    with pytest.raises(InvalidInput, match="amount_milli"):
        MetricTarget(amount_milli=0)
    with pytest.raises(InvalidInput, match="readings"):
        step_hpa(HpaSpec(), HpaState(), ReplicaCounts(1, 1, 1), [], 0.0)
