"""The law of the horizontal pod autoscaler judges: without obstacles it follows every step, with one it loses some."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from adapter.cluster import Follower
from adapter.kube.followers import ObstacleCode, read_followers
from adapter.kube.quantity import parse_quantity
from optimizer.simulation import (
    Behavior,
    HpaSpec,
    HpaState,
    MetricTarget,
    PolicyType,
    ReplicaCounts,
    ScalingRules,
    SelectPolicy,
    StepPolicy,
    TargetType,
    step_hpa,
)
from tests.builders.autoscaler_objects import LLAMA, Json, apply_remedy, make_hpa, make_metric, make_rules

SYNC_S = 1.0  # shorter than any window
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}


def read(hpa: Json, minor: int = 37) -> Follower:
    (follower,) = read_followers([hpa], kubernetes_minor=minor)[LLAMA]
    return follower


def find_codes(hpa: Json, minor: int = 37) -> set[str]:
    return {obstacle.code for obstacle in read(hpa, minor).obstacles}


# --- From the object to the simulator's form --------------------------------------------------------------------------
def to_rules(written: Json, default: list[StepPolicy], window_s: float) -> ScalingRules:
    policies = [
        StepPolicy(PolicyType(entry["type"]), entry["value"], entry["periodSeconds"])
        for entry in written.get("policies", [])
    ]
    return ScalingRules(
        tuple(policies or default),
        SelectPolicy(written.get("selectPolicy", "Max")),
        written.get("stabilizationWindowSeconds", window_s),
        parse_quantity(written["tolerance"]) if "tolerance" in written else None,
    )


def to_target(metric: Json) -> MetricTarget:
    target = metric.get("external", {}).get("target", {"averageValue": "1"})
    if "averageValue" in target:
        return MetricTarget(TargetType.AVERAGE_VALUE, round(1000 * parse_quantity(target["averageValue"])))
    return MetricTarget(TargetType.VALUE, round(1000 * parse_quantity(target["value"])))


def to_spec(hpa: Json) -> HpaSpec:
    spec, behavior = hpa["spec"], None
    if "behavior" in spec:
        four, double = StepPolicy(PolicyType.PODS, 4), StepPolicy(PolicyType.PERCENT, 100)
        up = to_rules(spec["behavior"].get("scaleUp", {}), [four, double], 0.0)
        down = to_rules(spec["behavior"].get("scaleDown", {}), [double], 300.0)
        behavior = Behavior(up, down)
    targets = tuple(to_target(metric) for metric in spec["metrics"])
    return HpaSpec(spec.get("minReplicas", 1), spec["maxReplicas"], targets, behavior)


def find_lost_step(hpa: Json, *, other_milli: int = 3000) -> tuple[int, int] | None:
    """Return a pair (present, wanted) within the bounds that the law does not follow at the next sync, None if none.

    Before, the autoscaler rested at the present count, wanting it for a second. What another metric asks for is three.
    """
    spec = to_spec(hpa)
    counts = range(spec.min_replicas, spec.max_replicas + 1)
    for present, wanted in itertools.product(counts, counts):
        state, at = HpaState(), ReplicaCounts(present, present, present)
        reached = present
        for now_s, number in ((0.0, present), (SYNC_S, wanted)):
            readings = [(1000 * number,), *((other_milli,) for _ in spec.targets[1:])]
            sync, state = step_hpa(spec, state, at, readings, now_s)
            reached = sync.replicas
            if number == present and reached != present:
                return present, present
        if reached != wanted:
            return present, wanted
    return None


# --- Known cases ------------------------------------------------------------------------------------------------------
def pods(value: int) -> Json:
    return {"type": "Pods", "value": value, "periodSeconds": 15}


def percent(value: int) -> Json:
    return {"type": "Percent", "value": value, "periodSeconds": 15}


def up(*policies: Json, **changes: Any) -> Json:
    return make_rules(**({"policies": list(policies)} if policies else {}), **changes)


def down(*policies: Json, **changes: Any) -> Json:
    return make_rules(policies=list(policies) or [percent(100)], **changes)


def target(**written: str) -> list[Json]:
    return [make_metric(target=written)]


BARE = {"SlowScaleUp", "ScaleDownWindow", "ToleranceAboveZero"}
CASES: list[tuple[str, Json, set[str]]] = [
    ("recommended", make_hpa(), set()),
    ("recommended with zero", make_hpa(min_replicas=0), set()),
    ("no minimum written", make_hpa(min_replicas=None), set()),
    ("up to nine the default tolerance does no harm", make_hpa(max_replicas=9, up=up(tolerance=None)), set()),
    ("upward the tenth step is the last seen", make_hpa(max_replicas=10, up=up(tolerance=None)), set()),
    ("default tolerance up", make_hpa(max_replicas=11, up=up(tolerance=None)), {"ToleranceAboveZero"}),
    ("default tolerance down", make_hpa(max_replicas=10, down=down(tolerance=None)), {"ToleranceAboveZero"}),
    ("small tolerance, few replicas", make_hpa(max_replicas=19, up=up(tolerance="50m")), set()),
    ("small tolerance, more replicas", make_hpa(max_replicas=21, up=up(tolerance="50m")), {"ToleranceAboveZero"}),
    ("target value", make_hpa(metrics=target(type="Value", value="1")), {"TargetIsValue"}),
    ("average of two", make_hpa(metrics=target(type="AverageValue", averageValue="2")), {"TargetNotOne"}),
    ("average of a half", make_hpa(metrics=target(type="AverageValue", averageValue="500m")), {"TargetNotOne"}),
    ("another metric", make_hpa(metrics=[make_metric(), CPU]), {"FurtherMetrics"}),
    ("window up", make_hpa(up=up(stabilizationWindowSeconds=30)), {"ScaleUpWindow"}),
    ("window down by default", make_hpa(down=down(stabilizationWindowSeconds=None)), {"ScaleDownWindow"}),
    ("percent-only from zero", make_hpa(min_replicas=0, up=up(percent(100))), {"NeverLeavesZero"}),
    ("percent-only from one", make_hpa(up=up(percent(100))), {"SlowScaleUp"}),
    ("enough percent from one", make_hpa(up=up(percent(3100))), set()),
    ("pods up to the maximum from one", make_hpa(up=up(pods(31))), set()),
    ("too few pods", make_hpa(up=up(pods(30))), {"SlowScaleUp"}),
    ("too few pods from zero", make_hpa(min_replicas=0, up=up(pods(31))), {"SlowScaleUp"}),
    ("one pod down at a time", make_hpa(down=down(pods(1))), {"SlowScaleDown"}),
    ("half down at a time", make_hpa(down=down(percent(50))), {"SlowScaleDown"}),
    ("the smaller policy counts", make_hpa(up=up(percent(100), pods(32), selectPolicy="Min")), {"SlowScaleUp"}),
    ("the smaller of those that suffice", make_hpa(up=up(pods(40), pods(32), selectPolicy="Min")), set()),
    ("up disabled", make_hpa(up=up(selectPolicy="Disabled")), {"ScaleUpDisabled"}),
    ("down disabled", make_hpa(down=down(selectPolicy="Disabled")), {"ScaleDownDisabled"}),
    ("no behavior", make_hpa(behavior=None), BARE),
    ("no behavior, few replicas", make_hpa(behavior=None, max_replicas=4), {"ScaleDownWindow"}),
    ("an empty behavior", make_hpa(behavior={}), BARE),
    ("an empty behavior, few replicas", make_hpa(behavior={}, max_replicas=5), {"ScaleDownWindow"}),
    ("bounds that leave no step", make_hpa(behavior=None, min_replicas=12, max_replicas=12), set()),
]


@pytest.mark.parametrize("hpa, codes", [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_obstacles_are_found_exactly_where_the_law_loses_a_step(hpa: Json, codes: set[str]) -> None:
    assert find_codes(hpa) == codes
    assert (find_lost_step(hpa) is not None) == bool(codes)


@pytest.mark.parametrize("hpa", [case[1] for case in CASES], ids=[case[0] for case in CASES])
def test_the_lines_to_change_make_it_follow_exactly(hpa: Json) -> None:
    for obstacle in read(hpa).obstacles:
        hpa = apply_remedy(hpa, obstacle.remedy)
    assert find_codes(hpa) == set()
    assert find_lost_step(hpa) is None


# --- Any autoscaler ---------------------------------------------------------------------------------------------------
def draw_rules(rng: random.Random, pods: list[int]) -> Json:
    def draw_policy() -> Json:
        kind = rng.choice(["Pods", "Percent"])
        value = rng.choice(pods if kind == "Pods" else [10, 50, 99, 100, 400, 1200])
        return {"type": kind, "value": value, "periodSeconds": 15}

    given: dict[str, Any] = {
        "tolerance": rng.choice([None, "0", "0", "50m", "0.2"]),
        "stabilizationWindowSeconds": rng.choice([None, 0, 0, 0, 60]),
        "selectPolicy": rng.choice([None, "Max", "Max", "Min", "Disabled"]),
        "policies": rng.choice([None, [draw_policy()], [draw_policy(), draw_policy()]]),
    }
    return {key: value for key, value in given.items() if value is not None}


def draw_hpa(rng: random.Random) -> Json:
    highest = rng.choice([1, 2, 4, 5, 9, 10, 11, 13])
    lowest = rng.choice([entry for entry in (0, 0, 1, 1, 3, 9) if entry <= highest])
    pods = [1, 4, highest - 1 or 1, highest, highest + 5]
    target = rng.choice([{"averageValue": "1"}] * 8 + [{"value": "1"}, {"averageValue": "3"}])
    metrics = [make_metric(target=target), *rng.choice([[]] * 8 + [[CPU]])]
    return make_hpa(
        min_replicas=lowest,
        max_replicas=highest,
        metrics=metrics,
        behavior=rng.choice(
            [None, *({"scaleUp": draw_rules(rng, pods), "scaleDown": draw_rules(rng, pods)} for _ in range(7))]
        ),
    )


@pytest.mark.parametrize("seed", range(6))
def test_any_autoscaler_without_obstacles_follows_and_any_with_one_does_not(seed: int) -> None:
    rng = random.Random(seed)
    free = 0
    for _ in range(30):
        hpa = draw_hpa(rng)
        codes = find_codes(hpa)
        if hpa["spec"].get("minReplicas") == hpa["spec"]["maxReplicas"]:
            continue  # there is no step to lose, whatever the metrics
        assert (find_lost_step(hpa) is not None) == bool(codes), (hpa["spec"], codes)
        free += not codes
        for obstacle in read(hpa).obstacles:
            hpa = apply_remedy(hpa, obstacle.remedy)
        assert find_codes(hpa) == set()
        assert find_lost_step(hpa) is None
    assert free


def test_every_code_of_the_law_is_one_that_is_known() -> None:
    known = {code.value for code in ObstacleCode}
    assert {code for _, _, codes in CASES for code in codes} <= known
