"""Whether a number is followed, within which bounds, who wakes what sleeps, and what to change where it is not."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from adapter.cluster import Follower, FollowerKind, Obstacle
from adapter.kube.followers import (
    ObstacleCode,
    can_wake_by_hpa,
    find_bounds,
    find_plan_obstacles,
    goes_to_zero_by_patch,
    judge_following,
    read_followers,
)
from optimizer.domain import ReasonCode, WorkloadRef
from tests.builders.autoscaler_objects import (
    LLAMA,
    Json,
    apply_remedy,
    make_hpa,
    make_metric,
    make_pod_autoscaler,
    make_rules,
    make_scaled_object,
)

HPA, KEDA, KPA = FollowerKind.HPA, FollowerKind.KEDA, FollowerKind.POD_AUTOSCALER
BAND = Obstacle("ToleranceAboveZero", "steps are ignored", "behavior")
WINDOW = Obstacle("ScaleDownWindow", "late", "window")


def make_follower(kind: FollowerKind = HPA, least: int = 1, most: int | None = 32, **given: Any) -> Follower:
    return Follower(kind, "llama", LLAMA, least, most, **{"is_active": True, **given})


def judge(planned: int, requested: int | None, *followers: Follower, minor: int = 37, **given: Any) -> Any:
    return judge_following(planned, requested, followers, workload=LLAMA, kubernetes_minor=minor, **given)


def find_codes(verdict: Any) -> list[str]:
    return [obstacle.code for obstacle in verdict.obstacles]


# --- Followed or not --------------------------------------------------------------------------------------------------
def test_a_follower_without_obstacles_that_reads_us_follows() -> None:
    verdict = judge(4, 4, make_follower())
    assert (verdict.status, verdict.reason.code, verdict.obstacles) == (True, ReasonCode.FOLLOWED, ())
    assert judge(4, 1, make_follower()).status is True  # a step under way


def test_one_that_has_not_spoken_yet_is_not_known() -> None:
    verdict = judge(4, 4, make_follower(is_active=None))
    assert (verdict.status, verdict.reason.code, verdict.obstacles) == (None, ReasonCode.NO_DATA, ())


def test_one_that_cannot_read_says_so_in_its_own_words() -> None:
    verdict = judge(4, 4, make_follower(is_active=False, message="no deployment llama in namespace prod"))
    assert (verdict.status, verdict.reason.code) == (False, ReasonCode.NOT_FOLLOWED)
    assert find_codes(verdict) == ["CannotRead"]
    assert "no deployment llama in namespace prod" in verdict.reason.message


def test_the_worst_obstacle_is_the_reason_and_all_are_told() -> None:
    verdict = judge(4, 4, make_follower(obstacles=(BAND, WINDOW)))
    assert find_codes(verdict) == ["ScaleDownWindow", "ToleranceAboveZero"]
    assert verdict.reason.message == "ScaleDownWindow: late (and 1 more)"


def test_a_bridge_over_the_dead_band_counts_only_where_nothing_else_is_in_the_way() -> None:
    assert judge(10, 9, make_follower(obstacles=(BAND,)), bridges_tolerance=True).status is True
    assert judge(10, 9, make_follower(obstacles=(BAND,)), bridges_tolerance=False).status is False
    both = judge(10, 9, make_follower(obstacles=(BAND, WINDOW)), bridges_tolerance=True)
    assert find_codes(both) == ["ScaleDownWindow", "ToleranceAboveZero"]
    assert judge(10, 9, make_follower(KPA, obstacles=(BAND,)), bridges_tolerance=True).status is False


def test_without_any_autoscaler_the_whole_object_is_given() -> None:
    verdict = judge(40, 1)
    assert (verdict.status, verdict.reason.code) == (False, ReasonCode.NO_FOLLOWER)
    assert find_codes(verdict) == ["NoAutoscaler"]
    given = yaml.safe_load(verdict.obstacles[0].remedy)
    (follower,) = read_followers([given], kubernetes_minor=37)[LLAMA]
    assert (follower.obstacles, follower.max_replicas) == ((), 40)
    old = yaml.safe_load(judge(4, 1, minor=32).obstacles[0].remedy)
    assert "tolerance" not in old["spec"]["behavior"]["scaleUp"]


def test_an_autoscaler_on_other_metrics_is_no_follower() -> None:
    foreign = make_follower(reads_our_number=False, obstacles=(Obstacle("ReadsOtherMetrics", "it scales by cpu"),))
    verdict = judge(4, 4, foreign)
    assert (verdict.status, verdict.reason.code) == (False, ReasonCode.NO_FOLLOWER)
    assert "it scales by cpu" in verdict.reason.message


def test_where_we_scale_ourselves_nobody_else_is_needed() -> None:
    assert judge(4, 1, acts_by_scale=True).status is True
    by_hand = judge(4, 0, acts_by_scale=True)
    assert find_codes(by_hand) == ["PutToZeroByHand"]
    assert judge(4, 0, acts_by_scale=True, zeroed_by="variant-autoscaler").status is True
    assert judge(4, 4, make_follower(obstacles=(BAND,)), acts_by_scale=True).status is False


# --- The plan against the bounds --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "planned, least, most, code",
    [
        (4, 1, 32, None),
        (33, 1, 32, "MaxReplicasBelowPlan"),
        (33, 1, None, None),
        (2, 3, 32, "MinReplicasAbovePlan"),
        (0, 1, 32, "MinReplicasAboveZero"),
        (0, 0, 32, None),
    ],
)
def test_bounds_that_contradict_the_plan_are_told_with_the_line_to_change(
    planned: int, least: int, most: int | None, code: str | None
) -> None:
    for kind in FollowerKind:
        obstacles = find_plan_obstacles(
            planned, make_follower(kind, least, most), zero_by_patch=False, kubernetes_minor=37
        )
        assert [obstacle.code for obstacle in obstacles] == ([code] if code else [])
        for obstacle in obstacles:
            key = ("maxReplica" if planned > least else "minReplica") + ("Count" if kind is KEDA else "s")
            assert yaml.safe_load(obstacle.remedy) == {"spec": {key: planned}}


@pytest.mark.parametrize("minor, allowed", [(34, False), (36, False), (37, True)])
def test_the_way_to_zero_depends_on_the_version(minor: int, allowed: bool) -> None:
    (obstacle,) = find_plan_obstacles(0, make_follower(least=1), zero_by_patch=False, kubernetes_minor=minor)
    expected: Json = {"spec": {"minReplicas": 0}} if allowed else {"kubernetes": {"patch_zero": True}}
    assert yaml.safe_load(obstacle.remedy) == expected


def test_zero_by_our_patch_needs_a_minimum_of_one() -> None:
    assert not find_plan_obstacles(0, make_follower(least=1), zero_by_patch=True, kubernetes_minor=34)
    (obstacle,) = find_plan_obstacles(0, make_follower(least=2), zero_by_patch=True, kubernetes_minor=34)
    assert "minReplicas: 1" in obstacle.remedy
    assert find_plan_obstacles(0, make_follower(KEDA, least=1), zero_by_patch=True, kubernetes_minor=37)


# --- Bounds of the plan -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "followers, patches_zero, bounds",
    [
        ((), False, (0, None)),
        ((make_follower(least=2, most=8),), False, (2, 8)),
        ((make_follower(least=1, most=8),), False, (1, 8)),
        ((make_follower(least=1, most=8),), True, (0, 8)),
        ((make_follower(KPA, least=1, most=8),), True, (0, 8)),
        ((make_follower(KEDA, least=1, most=8),), True, (1, 8)),
        ((make_follower(least=2, most=8),), True, (2, 8)),
        ((make_follower(least=0, most=None),), False, (0, None)),
        ((make_follower(least=2, most=8), make_follower(least=4, most=6)), False, (4, 6)),
        ((make_follower(least=5, most=8), make_follower(least=1, most=3)), False, (3, 3)),
        ((make_follower(least=5, most=8, reads_our_number=False),), False, (0, None)),
    ],
)
def test_bounds_are_those_of_all_followers(
    followers: tuple[Follower, ...], patches_zero: bool, bounds: tuple[int, int | None]
) -> None:
    assert find_bounds(followers, patches_zero=patches_zero) == bounds


def test_zero_goes_by_patch_only_where_the_follower_stays_out() -> None:
    assert goes_to_zero_by_patch(make_follower(), patches_zero=True)
    assert not goes_to_zero_by_patch(make_follower(), patches_zero=False)
    assert not goes_to_zero_by_patch(make_follower(least=0), patches_zero=True)
    assert not goes_to_zero_by_patch(make_follower(reads_our_number=False), patches_zero=True)


# --- Waking -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "minor, follower, wakes",
    [
        (34, make_follower(least=0), True),
        (34, make_follower(least=1), False),
        (35, make_follower(least=0, has_scaled_to_zero=None), True),
        (36, make_follower(least=0, has_scaled_to_zero=True), True),
        (36, make_follower(least=0, has_scaled_to_zero=None), False),
        (37, make_follower(least=0, has_scaled_to_zero=False), False),
        (37, make_follower(least=0, has_scaled_to_zero=True), True),
        (37, make_follower(least=1, has_scaled_to_zero=True), True),  # its minimum was raised since
        (37, make_follower(least=1, has_scaled_to_zero=False), False),
        (37, make_follower(KEDA, least=0), True),
        (37, make_follower(KEDA, least=1), True),
        (37, make_follower(KPA, least=0), True),
        (37, make_follower(KPA, least=1), False),
        (37, make_follower(KEDA, least=0, reads_our_number=False), False),
    ],
)
def test_who_wakes_what_sleeps(minor: int, follower: Follower, wakes: bool) -> None:
    assert can_wake_by_hpa(minor, follower) is wakes


def test_a_workload_that_nobody_wakes_is_told() -> None:
    stuck = make_follower(least=0, is_active=None, has_scaled_to_zero=False)
    assert find_codes(judge(3, 0, stuck)) == ["PutToZeroByHand"]
    assert "replicas: 1" in judge(3, 0, stuck).obstacles[0].remedy
    assert find_codes(judge(3, 0, stuck, zeroed_by="HorizontalPodAutoscaler")) == ["CannotWake"]
    allowed = judge(3, 0, stuck, zeroed_by="HorizontalPodAutoscaler", zero_by_patch=True)
    assert (allowed.status, find_codes(allowed)) == (None, [])
    assert find_codes(judge(3, 0, stuck, zero_by_patch=True)) == ["PutToZeroByHand"]
    assert judge(3, 0, make_follower(least=0, has_scaled_to_zero=True)).status is True
    assert judge(3, None, stuck).obstacles == ()


def test_a_workload_asleep_as_planned_is_followed() -> None:
    asleep = make_follower(least=1, is_active=None, message="the replica count is zero")
    assert judge(0, 0, asleep, zero_by_patch=True).status is True
    assert find_codes(judge(0, 1, asleep, zero_by_patch=False)) == ["MinReplicasAboveZero"]


# --- All together -----------------------------------------------------------------------------------------------------
CPU: Json = {"type": "Resource", "resource": {"name": "cpu"}}
WORST: list[tuple[str, Json]] = [
    ("hpas", make_hpa(metrics=[make_metric(target={"value": "1"}), CPU], behavior=None)),
    (
        "scaled_objects",
        make_scaled_object(minReplicaCount=0, advanced={}, annotations={"autoscaling.keda.sh/paused": "true"}),
    ),
    (
        "pod_autoscalers",
        make_pod_autoscaler(annotations={}, observeWindowSeconds=None, source={"targetValue": "3"}),
    ),
]


@pytest.mark.parametrize("source, document", WORST, ids=[source for source, _ in WORST])
def test_every_remedy_names_the_object_and_applying_all_of_them_leaves_nothing(source: str, document: Json) -> None:
    def read(changed: Json) -> Follower:
        given: dict[str, list[Json]] = {"hpas": [], "scaled_objects": [], "pod_autoscalers": [], source: [changed]}
        (follower,) = read_followers(*given.values(), kubernetes_minor=37)[LLAMA]
        return follower

    verdict = judge(20, 1, read(document))
    assert len(verdict.obstacles) >= 4
    for obstacle in verdict.obstacles:
        assert obstacle.message
        assert obstacle.remedy.startswith(f"# {document['kind']} prod/{document['metadata']['name']}\n")
        document = apply_remedy(document, obstacle.remedy)
    assert read(document).obstacles == ()


def test_codes_are_unique_and_in_camel_case() -> None:
    assert len({code.value for code in ObstacleCode}) == len(ObstacleCode)
    assert all(code.value.isalpha() and code.value[0].isupper() for code in ObstacleCode)


def test_the_verdict_speaks_of_the_workloads_own_kind() -> None:
    workload = WorkloadRef("prod", "llama", "LeaderWorkerSet", "leaderworkerset.x-k8s.io/v1")
    verdict = judge_following(1, 1, (), workload=workload, kubernetes_minor=37)
    given = yaml.safe_load(verdict.obstacles[0].remedy)
    assert given["spec"]["scaleTargetRef"] == {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "name": "llama",
    }
    assert list(read_followers([given], kubernetes_minor=37)) == [workload]


def test_wider_rules_than_needed_do_no_harm() -> None:
    document = make_hpa(up=make_rules(policies=[{"type": "Pods", "value": 1000, "periodSeconds": 1800}]))
    (follower,) = read_followers([document], kubernetes_minor=37)[LLAMA]
    assert judge(4, 1, follower).status is True
