"""Autoscalers are told apart: whose replicas they set, whether by our number, and who is in whose way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from adapter.cluster import Follower, FollowerKind
from adapter.kube.followers import FollowerReader, ReadingOptions, read_followers
from optimizer.domain import WorkloadRef
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

CPU: Json = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
}
QWEN = WorkloadRef("prod", "qwen-32b")
NAMESAKE = WorkloadRef("prod", "llama-70b", "StatefulSet")


def read(*hpas: Json, minor: int = 37, **given: Any) -> Mapping[WorkloadRef, tuple[Follower, ...]]:
    return read_followers(hpas, kubernetes_minor=minor, **given)


def find_codes(followers: Mapping[WorkloadRef, tuple[Follower, ...]], workload: WorkloadRef = LLAMA) -> list[str]:
    return [obstacle.code for follower in followers[workload] for obstacle in follower.obstacles]


# --- What one tells ---------------------------------------------------------------------------------------------------
def test_the_recommended_autoscaler_is_a_follower_without_obstacles() -> None:
    (follower,) = read(make_hpa(min_replicas=2, max_replicas=12))[LLAMA]
    assert (follower.kind, follower.name, follower.workload) == (FollowerKind.HPA, "llama-70b", LLAMA)
    assert (follower.min_replicas, follower.max_replicas, follower.obstacles) == (2, 12, ())
    assert (follower.is_active, follower.reads_our_number, follower.has_scaled_to_zero) == (True, True, None)


@pytest.mark.parametrize(
    "conditions, is_active, message",
    [
        ({}, None, ""),
        ({"ScalingActive": "True"}, True, "the HPA was able to"),
        ({"ScalingActive": "FailedGetExternalMetric:no deployment"}, False, "no deployment"),
        ({"ScalingActive": "ScalingDisabled:the replica count is zero"}, None, "the replica count is zero"),
        ({"ScalingActive": "True", "AbleToScale": "FailedGetScale:not found"}, False, "not found"),
        ({"ScalingActive": "Unknown"}, None, "the HPA was able to"),
    ],
)
def test_what_it_says_of_itself_is_kept(conditions: dict[str, str], is_active: bool | None, message: str) -> None:
    (follower,) = read(make_hpa(conditions=conditions))[LLAMA]
    assert (follower.is_active, follower.message) == (is_active, message)


@pytest.mark.parametrize("told, known", [("True", True), ("False", False), ("Unknown", None)])
def test_who_went_to_zero_is_known_by_its_condition(told: str, known: bool | None) -> None:
    (follower,) = read(make_hpa(min_replicas=0, conditions={"ScaledToZero": told}))[LLAMA]
    assert follower.has_scaled_to_zero is known


@pytest.mark.parametrize(
    "minor, remedy", [(37, "tolerance: 0"), (34, "HPAConfigurableTolerance"), (32, "bridge_tolerance")]
)
def test_the_way_out_of_the_dead_band_depends_on_the_version(minor: int, remedy: str) -> None:
    ((follower,),) = read(make_hpa(up=make_rules(tolerance=None)), minor=minor).values()
    (obstacle,) = follower.obstacles
    assert obstacle.code == "ToleranceAboveZero"
    assert "31 to 32" in obstacle.message
    assert remedy in obstacle.remedy
    assert (follower.tolerance_up_ratio, follower.tolerance_down_ratio) == (0.1, 0.0)


def test_a_tolerance_that_was_written_and_is_gone_was_dropped() -> None:
    applied = json.dumps(make_hpa())
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": applied}
    bare = make_rules(tolerance=None)
    (follower,) = read(make_hpa(up=bare, annotations=annotations), minor=34)[LLAMA]
    (obstacle,) = follower.obstacles
    assert obstacle.code == "ToleranceDropped"
    assert "bridge_tolerance: true" in obstacle.remedy
    broken = {"kubectl.kubernetes.io/last-applied-configuration": "{"}
    assert find_codes(read(make_hpa(up=bare, annotations=broken))) == ["ToleranceAboveZero"]


def test_the_band_of_the_cluster_may_be_another_one() -> None:
    assert find_codes(read(make_hpa(up=make_rules(tolerance=None)), tolerance_ratio=0.0)) == []
    nine = make_hpa(max_replicas=9, up=make_rules(tolerance=None))
    assert find_codes(read(nine, tolerance_ratio=0.2)) == ["ToleranceAboveZero"]


# --- Whom the metric selects ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "metric, code",
    [
        (make_metric(), None),
        (make_metric(name="deployment_replicas.llama-70b", labels={}), None),
        (make_metric(labels={"deployment": "llama-70b", "kind": "Deployment"}), None),
        (make_metric(labels={"variant": "h100", "model_name": "llama"}), None),
        (make_metric(labels={"deployment": "qwen-32b"}), "SelectsAnother"),
        (make_metric(labels={"deployment": "llama-70b", "kind": "StatefulSet"}), "SelectsAnother"),
        (make_metric(labels={"app": "llama"}), "SelectsAnother"),
        (make_metric(labels={"namespace": "test"}), "SelectsAnother"),
        (make_metric(name="deployment_replicas.qwen-32b", labels={}), "SelectsAnother"),
        (make_metric(labels={}), "SelectsSeveral"),
        (make_metric(labels={"kind": "Deployment"}), "SelectsSeveral"),
    ],
)
def test_the_metric_must_select_this_workload_and_no_other(metric: Json, code: str | None) -> None:
    other = make_hpa(name="qwen", target=QWEN)
    document = make_hpa(metrics=[metric])
    assert find_codes(read(document, other)) == ([code] if code else [])
    for follower in read(document, other)[LLAMA]:
        for obstacle in follower.obstacles:
            assert find_codes(read(apply_remedy(document, obstacle.remedy), other)) == []


@pytest.mark.parametrize(
    "expression, code",
    [
        ({"key": "deployment", "operator": "In", "values": ["llama-70b"]}, None),
        ({"key": "deployment", "operator": "NotIn", "values": ["qwen-32b"]}, None),
        ({"key": "variant", "operator": "Exists"}, "SelectsSeveral"),
        ({"key": "deployment", "operator": "In", "values": ["llama-70b", "qwen-32b"]}, "SelectsSeveral"),
        ({"key": "deployment", "operator": "DoesNotExist"}, "SelectsAnother"),
        ({"key": "app", "operator": "DoesNotExist"}, "SelectsSeveral"),
    ],
)
def test_expressions_are_understood(expression: Json, code: str | None) -> None:
    metric = make_metric(labels={})
    metric["external"]["metric"]["selector"] = {"matchExpressions": [expression]}
    labels = {LLAMA: {"variant": "h100"}, QWEN: {"variant": "l40s"}}
    followers = read(make_hpa(metrics=[metric]), make_hpa(name="qwen", target=QWEN), series_labels=labels)
    assert find_codes(followers) == ([code] if code else [])


def test_what_is_told_of_the_series_decides_where_the_name_does_not() -> None:
    document = make_hpa(metrics=[make_metric(labels={"variant": "h100"})])
    assert find_codes(read(document, series_labels={LLAMA: {"variant": "h100"}})) == []
    assert find_codes(read(document, series_labels={LLAMA: {"variant": ""}})) == []
    assert find_codes(read(document, series_labels={LLAMA: {"variant": "l40s"}})) == ["SelectsAnother"]
    both = {LLAMA: {"variant": "h100"}, QWEN: {"variant": "h100"}}
    assert find_codes(read(document, series_labels=both)) == ["SelectsSeveral"]


def test_other_namespaces_are_never_selected() -> None:
    elsewhere = make_hpa(target=WorkloadRef("test", "qwen-32b"))
    assert find_codes(read(make_hpa(metrics=[make_metric(labels={})]), elsewhere)) == []


def test_an_object_of_another_kind_and_the_same_name_is_told_apart_by_kind() -> None:
    document, namesake = make_hpa(), make_hpa(name="set", target=NAMESAKE)
    followers = read(document, namesake)
    assert find_codes(followers) == ["SelectsSeveral"]
    mended = apply_remedy(document, followers[LLAMA][0].obstacles[0].remedy)
    namesake = apply_remedy(namesake, followers[NAMESAKE][0].obstacles[0].remedy)
    assert find_codes(read(mended, namesake)) == []
    assert find_codes(read(mended, namesake), NAMESAKE) == []


def test_a_name_too_long_for_a_label_is_asked_for_by_metric_name() -> None:
    long = WorkloadRef("prod", "x" * 64)
    document = make_hpa(name="long", target=long, metrics=[make_metric(labels={})])
    mended = apply_remedy(document, read(document, make_hpa())[long][0].obstacles[0].remedy)
    assert mended["spec"]["metrics"][0]["external"]["metric"] == {"name": f"deployment_replicas.{'x' * 64}"}
    assert find_codes(read(mended, make_hpa()), long) == []


# --- Whose replicas it sets -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "kind, written, known",
    [
        ("Deployment", "apps/v1beta2", "apps/v1"),
        ("InferenceService", "serving.kserve.io/v1alpha1", "serving.kserve.io/v1beta1"),
    ],
)
def test_the_version_of_the_target_does_not_matter(kind: str, written: str, known: str) -> None:
    told = WorkloadRef("prod", "llama-70b", kind, known)
    document = make_hpa(target=WorkloadRef("prod", "llama-70b", kind, written))
    followers = read(document, series_labels={told: {}})
    assert list(followers) == [told]


def test_objects_that_set_nothing_are_left_out() -> None:
    nothing = make_hpa()
    del nothing["spec"]["scaleTargetRef"]
    unbounded = make_hpa()
    del unbounded["spec"]["maxReplicas"]
    assert read(nothing, unbounded, {}, {"metadata": None, "spec": []}) == {}


def test_an_autoscaler_on_other_metrics_is_told_as_such() -> None:
    document = make_hpa(metrics=[CPU])
    (follower,) = read(document)[LLAMA]
    assert not follower.reads_our_number
    assert [obstacle.code for obstacle in follower.obstacles] == ["ReadsOtherMetrics"]
    assert "cpu" in follower.obstacles[0].message
    (mended,) = read(apply_remedy(document, follower.obstacles[0].remedy))[LLAMA]
    assert (mended.reads_our_number, mended.obstacles) == (True, ())


def test_a_metric_that_only_begins_like_ours_is_another_one() -> None:
    (follower,) = read(make_hpa(metrics=[make_metric(name="deployment_replicas_old")]))[LLAMA]
    assert not follower.reads_our_number


def test_two_autoscalers_of_one_workload_are_in_each_others_way() -> None:
    wide, narrow = make_hpa(name="wide"), make_hpa(name="narrow", min_replicas=4, max_replicas=8)
    foreign = make_hpa(name="cpu", metrics=[CPU], max_replicas=2)
    followers = read(wide, foreign, narrow)[LLAMA]
    assert [follower.name for follower in followers] == ["narrow", "wide", "cpu"]
    for follower in followers:
        assert follower.obstacles[0].code == "TwoAutoscalers"
    assert "delete horizontalpodautoscaler cpu" in followers[0].obstacles[0].remedy
    assert "narrow" not in followers[0].obstacles[0].remedy
    assert followers[0].obstacles[0].message == (
        "HorizontalPodAutoscaler wide, HorizontalPodAutoscaler cpu set the same replicas, too; keep one of them"
    )
    (one, _) = read(wide, narrow)[LLAMA]
    assert one.obstacles[0].message == ("HorizontalPodAutoscaler wide sets the same replicas, too; keep one of them")


def test_autoscalers_of_different_kinds_are_counted_together() -> None:
    found = read_followers([make_hpa()], [make_scaled_object()], [make_pod_autoscaler()], kubernetes_minor=37)[LLAMA]
    assert {follower.kind for follower in found} == set(FollowerKind)
    assert all(follower.obstacles[0].code == "TwoAutoscalers" for follower in found)


def test_an_autoscaler_that_keda_made_is_part_of_its_scaled_object() -> None:
    made = make_hpa(name="keda-hpa-llama", metrics=[CPU], owner=("ScaledObject", "llama"))
    (follower,) = read_followers([made], [make_scaled_object()], kubernetes_minor=37)[LLAMA]
    assert (follower.kind, follower.obstacles) == (FollowerKind.KEDA, ())
    (alone,) = read_followers([made], kubernetes_minor=37)[LLAMA]  # nobody may read ScaledObjects
    assert (alone.kind, alone.reads_our_number) == (FollowerKind.HPA, False)


# --- Again and again --------------------------------------------------------------------------------------------------
def test_reading_again_gives_what_reading_anew_gives() -> None:
    """Whatever changes in between: the object, what it says, who made it, who else is there, what is known."""
    reader, options = FollowerReader(), ReadingOptions(37)
    made = make_hpa(name="keda-hpa-llama", metrics=[CPU], owner=("ScaledObject", "llama"))
    other = make_hpa(name="qwen", target=QWEN)
    by_variant = make_hpa(metrics=[make_metric(labels={"variant": "h100"})])
    stories: list[tuple[list[Json], list[Json], list[Json], dict[WorkloadRef, dict[str, str]]]] = [
        ([], [], [], {}),
        ([make_hpa()], [], [], {}),
        ([make_hpa(max_replicas=4)], [], [], {}),
        ([make_hpa(max_replicas=4, conditions={"ScalingActive": "FailedGetExternalMetric:away"})], [], [], {}),
        ([by_variant, other], [], [], {}),
        ([by_variant, other], [], [], {LLAMA: {"variant": "l40s"}, QWEN: {"variant": "h100"}}),
        ([made, other], [make_scaled_object()], [], {}),
        ([other], [make_scaled_object()], [], {}),
        ([{**made, "spec": {**made["spec"], "behavior": {}}}, other], [make_scaled_object()], [], {}),
        ([], [], [make_pod_autoscaler()], {}),
        ([make_hpa()], [], [make_pod_autoscaler(maxReplicas=3)], {}),
        ([make_hpa()], [], [], {}),
    ]
    for hpas, scaled, kpas, labels in [*stories, *reversed(stories)]:
        again = reader.read(hpas, scaled, kpas, options=options, series_labels=labels)
        assert again == read_followers(hpas, scaled, kpas, kubernetes_minor=37, series_labels=labels)


def test_values_that_an_autoscaler_saw_are_no_reason_to_read_it_anew() -> None:
    reader, document = FollowerReader(), make_hpa()
    ((before,),) = reader.read([document], options=ReadingOptions(37)).values()
    seen = {**document, "status": {**document["status"], "currentMetrics": [{"type": "External"}]}}
    ((after,),) = reader.read([seen], options=ReadingOptions(37)).values()
    assert after is before
