"""HPAs made of values have the form that is followed exactly, and say nothing an older Kubernetes would refuse."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from adapter.kube.followers import read_followers
from adapter.kube.followers.recommended import render_autoscaler
from optimizer.domain import WorkloadRef
from tests.deploy.chart import Helm, Json

LONG = "a" + 62 * "-x" + "z"
WORKLOADS = {
    "Deployment": WorkloadRef("chat", "llama-8b-l40s"),
    "StatefulSet": WorkloadRef("chat", "bulk", "StatefulSet"),
    "LeaderWorkerSet": WorkloadRef("chat", "giant", "LeaderWorkerSet", "leaderworkerset.x-k8s.io/v1"),
    "long name": WorkloadRef("chat", LONG),
    "long name of a StatefulSet": WorkloadRef("chat", LONG, "StatefulSet"),
}


def _to_values(workload: WorkloadRef, **more: int) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": workload.name, "namespace": workload.namespace, "maxReplicas": 32, **more}
    if workload.kind != "Deployment":
        entry |= {"kind": workload.kind, "apiVersion": workload.api_version}
    return {"hpas": [entry]}


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_form_is_the_one_the_program_recommends(helm: Helm, name: str) -> None:
    workload = WORKLOADS[name]
    hpa = helm.render(_to_values(workload)).get("HorizontalPodAutoscaler")
    recommended = yaml.safe_load(render_autoscaler(workload, max_replicas=32, kubernetes_minor=37))
    assert hpa["spec"] == recommended["spec"]
    assert (hpa["metadata"]["namespace"], hpa["metadata"]["name"]) == (workload.namespace, workload.name)


@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.parametrize("least", [0, 1, 32])
def test_nothing_keeps_such_an_hpa_from_following(helm: Helm, name: str, least: int) -> None:
    workload = WORKLOADS[name]
    hpa = helm.render(_to_values(workload, minReplicas=least)).get("HorizontalPodAutoscaler")
    ((found,),) = (read_followers([hpa], kubernetes_minor=37, series_labels={workload: {}})[workload],)
    assert found.obstacles == ()
    assert found.reads_our_number
    assert (found.min_replicas, found.max_replicas) == (least, 32)


@pytest.mark.parametrize("kubernetes, is_known", [("1.32.0", False), ("1.33.0", True), ("1.37.0", True)])
def test_tolerance_is_written_only_where_kubernetes_knows_the_field(
    helm: Helm, kubernetes: str, is_known: bool
) -> None:
    behavior: Json = helm.render(_to_values(WORKLOADS["Deployment"]), kubernetes=kubernetes).get(
        "HorizontalPodAutoscaler"
    )["spec"]["behavior"]
    for direction in ("scaleUp", "scaleDown"):
        assert (behavior[direction].get("tolerance") == 0) == is_known


def test_the_name_of_a_metric_of_its_own_may_be_read(helm: Helm) -> None:
    rendered = helm.render(_to_values(WORKLOADS["long name"]))
    role = rendered.get("ClusterRole", "variant-autoscaler-metrics-reader")
    assert role["rules"][0]["resources"] == ["deployment_replicas", f"deployment_replicas.{LONG}"]


def test_none_is_made_unasked(helm: Helm) -> None:
    assert not helm.render().list("HorizontalPodAutoscaler")
