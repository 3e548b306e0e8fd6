"""Nothing that is read gets lost when objects are cut down to what is kept in memory."""

from __future__ import annotations

import json

import pytest

from adapter.kube.discovery.trimming import trim_node, trim_other, trim_pod, trim_replica_set, trim_workload
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
