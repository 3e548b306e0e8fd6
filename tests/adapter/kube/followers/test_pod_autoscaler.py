"""PodAutoscalers: without obstacles the peer's own rules follow every step, with one they lose some."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from adapter.cluster import Follower, FollowerKind
from adapter.kube.followers import read_followers
from tests.builders.autoscaler_objects import (
    HEAD_ANNOTATIONS,
    LLAMA,
    Json,
    apply_remedy,
    make_old_pod_autoscaler,
    make_pod_autoscaler,
)
from tests.control_plane.fake_pod_autoscaler import read_old_settings, read_settings
from tests.control_plane.pod_autoscaler_rules import KpaAutoscaler, OldKpaAutoscaler

TICK_S = 10.0
HEAD, OLD = "autoscaling.aibrix.ai/", "kpa.autoscaling.aibrix.ai/"


def read(document: Json, units: int = 1) -> Follower:
    (follower,) = read_followers([], [], [document], kubernetes_minor=37, page_units_per_replica=units)[LLAMA]
    return follower


def find_codes(document: Json, units: int = 1) -> set[str]:
    return {obstacle.code for obstacle in read(document, units).obstacles}


def find_lost_step(document: Json, *, is_old: bool = False, units: int = 1) -> tuple[int, int] | None:
    """Return a pair (present, wanted) that is not followed from the lowest count on, None if none.

    Zero is no present count: away from it the first step is to one.
    """
    lowest = max(document["spec"].get("minReplicas", 1), 1)
    highest = document["spec"]["maxReplicas"]
    wanted_counts = range(document["spec"].get("minReplicas", 1), highest + 1)
    for present, wanted in itertools.product(range(lowest, highest + 1), wanted_counts):
        numbers = (lowest, present, wanted)
        if follow(document, numbers, is_old=is_old, units=units) != numbers:
            return present, wanted
    return None


def follow(document: Json, numbers: tuple[int, ...], *, is_old: bool, units: int) -> tuple[int, ...]:
    replicas, seen = numbers[0], []
    old = OldKpaAutoscaler(read_old_settings(document), replicas)
    new = KpaAutoscaler(read_settings(document))
    for tick, number in enumerate(numbers):
        values = [float(units * number)]
        if is_old:
            replicas = old.tick(tick * TICK_S, replicas, replicas, values)
        else:
            replicas = new.tick(tick * TICK_S, replicas, values)
        seen.append(replicas)
    return tuple(seen)


def with_annotation(key: str, value: str | None) -> dict[str, str]:
    changed = {**HEAD_ANNOTATIONS, f"{HEAD}{key}": value}
    return {name: text for name, text in changed.items() if text is not None}


HEAD_CASES: list[tuple[str, Json, set[str]]] = [
    ("recommended", make_pod_autoscaler(maxReplicas=25), set()),
    ("recommended from one", make_pod_autoscaler(maxReplicas=25, minReplicas=1), set()),
    ("target one", make_pod_autoscaler(maxReplicas=12, source={"targetValue": "1"}), {"TargetNotOne"}),
    ("target two", make_pod_autoscaler(maxReplicas=12, source={"targetValue": "2"}), {"TargetNotOne"}),
    ("target 1.05 and many", make_pod_autoscaler(maxReplicas=22, source={"targetValue": "1.05"}), {"TargetNotOne"}),
    ("target 1.05 and few", make_pod_autoscaler(maxReplicas=20, source={"targetValue": "1.05"}), set()),
    (
        "default rate up",
        make_pod_autoscaler(maxReplicas=12, annotations=with_annotation("max-scale-up-rate", None)),
        {"SlowScaleUp"},
    ),
    (
        "rate down of the maximum",
        make_pod_autoscaler(maxReplicas=12, annotations=with_annotation("max-scale-down-rate", "12")),
        {"SlowScaleDown"},
    ),
    (
        "rate down above the maximum",
        make_pod_autoscaler(maxReplicas=12, annotations=with_annotation("max-scale-down-rate", "13")),
        set(),
    ),
    (
        "default tolerance down",
        make_pod_autoscaler(maxReplicas=12, annotations=with_annotation("scale-down-tolerance", None)),
        {"ToleranceAboveZero"},
    ),
    (
        "default cooldown",
        make_pod_autoscaler(maxReplicas=12, annotations=with_annotation("scale-down-cooldown-window", None)),
        {"ScaleDownWindow"},
    ),
    ("default windows", make_pod_autoscaler(maxReplicas=12, observeWindowSeconds=None), {"MetricAveraged"}),
]


def make_old(annotation: str = "", value: str = "", **source: str) -> Json:
    annotations = {f"{OLD}{annotation}": value} if annotation else {}
    return make_old_pod_autoscaler(maxReplicas=12, annotations=annotations, source=source)


OLD_CASES: list[tuple[str, Json, int, set[str]]] = [
    ("recommended", make_old(), 1, set()),
    ("hundredths", make_old(targetValue="100"), 100, set()),
    ("hundredths by mistake", make_old(targetValue="100"), 1, {"TargetNotOne"}),
    ("delay", make_old("scale-down-delay", "30m"), 1, {"ScaleDownWindow"}),
    ("window", make_old("stable-window", "60s"), 1, {"MetricAveraged"}),
    ("activation", make_old("activation-scale", "3"), 1, {"ActivationAboveOne"}),
]


@pytest.mark.parametrize("document, codes", [case[1:] for case in HEAD_CASES], ids=[case[0] for case in HEAD_CASES])
def test_obstacles_are_found_exactly_where_the_rules_lose_a_step(document: Json, codes: set[str]) -> None:
    assert find_codes(document) == codes
    assert (find_lost_step(document) is not None) == bool(codes)


@pytest.mark.parametrize("document", [case[1] for case in HEAD_CASES], ids=[case[0] for case in HEAD_CASES])
def test_the_lines_to_change_make_it_follow_exactly(document: Json) -> None:
    for obstacle in read(document).obstacles:
        document = apply_remedy(document, obstacle.remedy)
    assert find_codes(document) == set()
    assert find_lost_step(document) is None


@pytest.mark.parametrize(
    "document, units, codes", [case[1:] for case in OLD_CASES], ids=[case[0] for case in OLD_CASES]
)
def test_version_0_4_is_read_by_its_own_rules(document: Json, units: int, codes: set[str]) -> None:
    assert find_codes(document, units) == codes
    assert (find_lost_step(document, is_old=True, units=units) is not None) == bool(codes)
    for obstacle in read(document, units).obstacles:
        document = apply_remedy(document, obstacle.remedy)
    assert find_codes(document, units) == set()
    assert find_lost_step(document, is_old=True, units=units) is None


@pytest.mark.parametrize("strategy", ["APA", "HPA", None])
def test_other_strategies_run_away(strategy: str | None) -> None:
    document = make_pod_autoscaler(scalingStrategy=strategy)
    (obstacle,) = read(document).obstacles
    assert obstacle.code == "StrategyRunsAway"
    assert find_codes(apply_remedy(document, obstacle.remedy)) == set()


def test_an_endpoint_drains_all_versions_but_0_4() -> None:
    page = make_old_pod_autoscaler()["spec"]["metricsSources"]
    document = make_pod_autoscaler(metricsSources=page)
    (worst, *_) = read(document).obstacles
    assert worst.code == "EndpointReadsZero"
    assert find_codes(apply_remedy(document, worst.remedy)) == set()


def test_another_page_is_not_this_workloads() -> None:
    document = make_old_pod_autoscaler(source={"path": "/metrics/prod/other"})
    (obstacle,) = read(document).obstacles
    assert obstacle.code == "SelectsAnother"
    assert find_codes(apply_remedy(document, obstacle.remedy)) == set()


@pytest.mark.parametrize(
    "name, code", [("deployment_replicas.other", "SelectsAnother"), ("deployment_replicas", "SelectsSeveral")]
)
def test_the_metric_must_name_the_workload(name: str, code: str) -> None:
    document = make_pod_autoscaler(source={"targetMetric": name})
    (obstacle,) = read(document).obstacles
    assert obstacle.code == code
    assert find_codes(apply_remedy(document, obstacle.remedy)) == set()


@pytest.mark.parametrize(
    "source",
    [
        {"metricSourceType": "resource", "targetMetric": "cpu", "targetValue": "80"},
        {"metricSourceType": "pod", "targetMetric": "deployment_replicas", "targetValue": "1"},
        {
            "metricSourceType": "domain",
            "endpoint": "aibrix-gpu-optimizer.aibrix-system.svc.cluster.local:8080",
            "path": "/metrics/prod/llama-70b",
            "targetMetric": "vllm:deployment_replicas",
            "targetValue": "100",
        },
    ],
    ids=["cpu", "pods", "the peer's own page"],
)
def test_what_reads_something_else_is_told_as_such(source: dict[str, Any]) -> None:
    document = make_pod_autoscaler(metricsSources=[source])
    follower = read(document)
    assert not follower.reads_our_number
    assert [obstacle.code for obstacle in follower.obstacles] == ["ReadsOtherMetrics"]
    assert read(apply_remedy(document, follower.obstacles[0].remedy)).reads_our_number


def test_further_sources_and_projections_are_in_the_way() -> None:
    cpu = {"metricSourceType": "resource", "targetMetric": "cpu", "targetValue": "80"}
    document = make_pod_autoscaler()
    document["spec"]["metricsSources"].append(cpu)
    document["spec"]["predictive"] = {"mode": "Auto"}
    assert find_codes(document) == {"FurtherMetrics", "Predictive"}
    for obstacle in read(document).obstacles:
        document = apply_remedy(document, obstacle.remedy)
    assert find_codes(document) == set()


def test_an_annotation_that_cannot_be_read_counts_as_its_default() -> None:
    document = make_pod_autoscaler(annotations=with_annotation("scale-down-cooldown-window", "soon"))
    assert "ScaleDownWindow" in find_codes(document)


def test_bounds_of_a_schedule_in_force_go_first() -> None:
    document = make_pod_autoscaler(minReplicas=2)
    assert (read(document).kind, read(document).min_replicas, read(document).max_replicas) == (
        FollowerKind.POD_AUTOSCALER,
        2,
        100,
    )
    document["status"]["scheduledBounds"] = {"effectiveMinReplicas": 5, "effectiveMaxReplicas": 7}
    assert (read(document).min_replicas, read(document).max_replicas) == (5, 7)
    assert read(document).is_active is True
