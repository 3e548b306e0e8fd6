"""Nothing that is read gets lost when objects are cut down to what is kept in memory."""

from __future__ import annotations

import json

import pytest

from adapter.kube.discovery.trimming import (
    trim_autoscaler,
    trim_node,
    trim_other,
    trim_pod,
    trim_replica_set,
    trim_workload,
)
from adapter.kube.followers import read_followers
from tests.builders.autoscaler_objects import LLAMA, make_hpa, make_rules
from tests.builders.cluster_objects import Json, load, look

_TRIMS = {"Pod": trim_pod, "Node": trim_node, "ReplicaSet": trim_replica_set, "Deployment": trim_workload}


def _trim(document: Json) -> Json:
    if document["kind"] == "LeaderWorkerSet":
        return trim_workload(document)
    return _TRIMS.get(document["kind"], trim_other)(document)


@pytest.mark.parametrize("name", ["ours", "llm_d", "leader_worker_set", "quota"])
def test_trimmed_objects_tell_the_same(name: str) -> None:
    documents = [*load(name), *load("nodes"), load("aibrix")]
    assert look(*(_trim(document) for document in documents)) == look(*documents)


def test_pods_and_workloads_shed_what_nobody_reads() -> None:
    documents = load("ours")
    for document in documents:
        trimmed = _trim(document)
        assert trimmed["metadata"]["resourceVersion"] == document["metadata"]["resourceVersion"]
        assert {"apiVersion", "kind"} <= trimmed.keys()
    deployment, pod = documents[0], documents[3]
    assert "image" not in json.dumps(trim_pod(pod))
    assert "selector" not in json.dumps(trim_workload(deployment)["metadata"])
    assert len(json.dumps(trim_pod(pod))) < 0.9 * len(json.dumps(pod))


def test_the_object_itself_is_left_as_it_was() -> None:
    for document in load("ours"):
        before = json.dumps(document)
        _trim(document)
        assert json.dumps(document) == before


def test_a_tolerance_that_the_cluster_dropped_is_still_told_of_a_trimmed_autoscaler() -> None:
    applied = json.dumps({"spec": {"behavior": {"scaleUp": {"tolerance": "0"}}}})
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": applied}
    hpa = make_hpa(up=make_rules(tolerance=None), annotations=annotations)
    (follower,) = read_followers([trim_autoscaler(hpa)], kubernetes_minor=32)[LLAMA]
    assert [obstacle.code for obstacle in follower.obstacles] == ["ToleranceDropped"]


def test_an_autoscaler_sheds_a_manifest_without_tolerance() -> None:
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": '{"spec":{}}'}
    assert trim_autoscaler(make_hpa(annotations=annotations))["metadata"]["annotations"] == {}
