"""ScaledObjects of KEDA: which triggers read our number, and what of the object would not follow it."""

from __future__ import annotations

import pytest

from adapter.cluster import Follower
from adapter.kube.followers import read_followers
from tests.builders.autoscaler_objects import (
    LLAMA,
    Json,
    apply_remedy,
    make_hpa,
    make_page_trigger,
    make_prometheus_trigger,
    make_rules,
    make_scaled_object,
)

CPU: Json = {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "80"}}


def read(scaled: Json, *made: Json, minor: int = 37) -> Follower:
    (follower,) = read_followers(made, [scaled], kubernetes_minor=minor)[LLAMA]
    return follower


def find_codes(scaled: Json, *made: Json) -> set[str]:
    return {obstacle.code for obstacle in read(scaled, *made).obstacles}


def make_external_trigger(**metadata: str) -> Json:
    given = {"scalerAddress": "variant-autoscaler:9090", "metric": "deployment_replicas", "workload": "llama-70b"}
    return {"type": "external", "metadata": {**given, **metadata}}


@pytest.mark.parametrize(
    "trigger",
    [
        make_prometheus_trigger(),
        make_page_trigger(),
        make_page_trigger(
            url="http://va:8080/v1/decisions?namespace=prod",
            format="json",
            valueLocation='models.0.variants.#(deployment=="llama-70b").planned_replicas',
        ),
        make_page_trigger(
            url="https://api/apis/external.metrics.k8s.io/v1beta1/namespaces/prod/deployment_replicas.llama-70b",
            valueLocation="items.0.value",
        ),
        make_external_trigger(),
    ],
    ids=["prometheus", "page", "json", "external metrics", "external"],
)
def test_a_trigger_that_asks_for_our_number_follows(trigger: Json) -> None:
    follower = read(make_scaled_object(triggers=[trigger]))
    assert follower.reads_our_number
    assert follower.obstacles == ()
    assert (follower.min_replicas, follower.max_replicas, follower.is_active) == (1, 32, True)


@pytest.mark.parametrize("trigger", [CPU, make_prometheus_trigger(query="sum(vllm:num_requests_running)")])
def test_a_trigger_that_asks_for_something_else_does_not(trigger: Json) -> None:
    follower = read(make_scaled_object(triggers=[trigger]))
    assert not follower.reads_our_number
    assert [obstacle.code for obstacle in follower.obstacles] == ["ReadsOtherMetrics"]


CASES: list[tuple[str, Json, set[str]]] = [
    ("threshold", make_scaled_object(triggers=[make_prometheus_trigger(threshold="2")]), {"TargetNotOne"}),
    ("target value", make_scaled_object(triggers=[make_page_trigger(targetValue="10")]), {"TargetNotOne"}),
    ("activation", make_scaled_object(triggers=[make_page_trigger(activationTargetValue="1")]), {"ActivationAboveOne"}),
    ("activation below one", make_scaled_object(triggers=[make_page_trigger(activationTargetValue="0.5")]), set()),
    (
        "null is zero",
        make_scaled_object(triggers=[make_prometheus_trigger(ignoreNullValues="true")]),
        {"AbsenceReadsAsZero"},
    ),
    ("value", make_scaled_object(triggers=[{**make_page_trigger(), "metricType": "Value"}]), {"TargetIsValue"}),
    ("several", make_scaled_object(triggers=[make_page_trigger(), CPU]), {"FurtherMetrics"}),
    (
        "another query",
        make_scaled_object(triggers=[make_prometheus_trigger(query='deployment_replicas{deployment="qwen"}')]),
        {"SelectsAnother"},
    ),
    (
        "another page",
        make_scaled_object(triggers=[make_page_trigger(url="http://va:8080/metrics/prod/llama-70b-a100")]),
        {"SelectsAnother"},
    ),
    ("paused", make_scaled_object(annotations={"autoscaling.keda.sh/paused": "true"}), {"Paused"}),
    ("paused at a count", make_scaled_object(annotations={"autoscaling.keda.sh/paused-replicas": "0"}), {"Paused"}),
    ("no longer paused", make_scaled_object(annotations={"autoscaling.keda.sh/paused": "false"}), set()),
    ("cooldown before zero", make_scaled_object(minReplicaCount=0), {"SlowToZero"}),
    ("cooldown before idle", make_scaled_object(idleReplicaCount=0), {"SlowToZero"}),
    ("no cooldown", make_scaled_object(minReplicaCount=0, cooldownPeriod=0), set()),
    ("percent-only", make_scaled_object(behavior={"scaleUp": make_rules(policies=[{"type": "Percent", "value": 100}])}),
     {"SlowScaleUp", "ScaleDownWindow", "ToleranceAboveZero"}),
    ("nothing of behavior", make_scaled_object(advanced={}), {"SlowScaleUp", "ScaleDownWindow", "ToleranceAboveZero"}),
    ("few replicas", make_scaled_object(advanced={}, maxReplicaCount=4), {"ScaleDownWindow"}),
]  # fmt: skip


@pytest.mark.parametrize("scaled, codes", [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_obstacles_are_found_and_the_lines_to_change_remove_them(scaled: Json, codes: set[str]) -> None:
    assert find_codes(scaled) == codes
    for obstacle in read(scaled).obstacles:
        scaled = apply_remedy(scaled, obstacle.remedy)
    assert find_codes(scaled) == set()


def test_a_formula_over_triggers_is_in_the_way() -> None:
    scaled = make_scaled_object()
    scaled["spec"]["advanced"]["scalingModifiers"] = {"formula": "a * 2"}
    (obstacle,) = read(scaled).obstacles
    assert obstacle.code == "FurtherMetrics"
    assert find_codes(apply_remedy(scaled, obstacle.remedy)) == set()


def test_idle_replicas_are_the_lower_bound() -> None:
    assert read(make_scaled_object(minReplicaCount=3, idleReplicaCount=0, cooldownPeriod=0)).min_replicas == 0
    assert read(make_scaled_object(minReplicaCount=None, maxReplicaCount=None)).min_replicas == 0
    assert read(make_scaled_object(minReplicaCount=None, maxReplicaCount=None)).max_replicas == 100


def test_the_autoscaler_it_made_shows_what_is_really_in_force() -> None:
    made = make_hpa(name="keda-hpa-llama", owner=("ScaledObject", "llama"), up=make_rules(tolerance=None))
    (obstacle,) = read(make_scaled_object(), made).obstacles
    assert obstacle.code == "ToleranceDropped"
    silent = make_hpa(owner=("ScaledObject", "llama"), conditions={"ScalingActive": "FailedGetExternalMetric:no host"})
    follower = read(make_scaled_object(), silent)
    assert (follower.is_active, follower.message) == (False, "no host")
    asleep = make_hpa(owner=("ScaledObject", "llama"), conditions={"ScalingActive": "ScalingDisabled:at zero"})
    assert read(make_scaled_object(), asleep).is_active is True


def test_an_object_that_is_not_ready_says_why() -> None:
    broken = make_scaled_object(conditions={"Ready": "TriggerError:Triggers defined incorrectly"})
    for made in ((), (make_hpa(owner=("ScaledObject", "llama")),)):
        follower = read(broken, *made)
        assert (follower.is_active, follower.message) == (False, "Triggers defined incorrectly")


def test_an_object_without_target_is_left_out() -> None:
    assert read_followers([], [{"spec": {"triggers": []}}], kubernetes_minor=37) == {}
