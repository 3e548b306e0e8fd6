"""The inventory document: what is written is read again, and what cannot be read is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapter.errors import BadDocument
from adapter.inventory import from_document, to_document
from optimizer.domain import PodPhase, WorkloadRef
from tests.builders.inventories import make_inventory, make_pod_entry

WHOLE = make_inventory(
    a=[
        make_pod_entry("a-0", "http://10.0.0.1:8000"),
        make_pod_entry("a-1", "", PodPhase.STARTING, created_s=3.5, ready_s=None),
        make_pod_entry("a-2", "http://10.0.0.3:8000", PodPhase.TERMINATING, uid=""),
    ],
    b=[],
)
LEAST = {"namespace": "prod", "name": "a", "pods": [{"name": "a-0", "phase": "ready"}]}


def make_document(**changes: Any) -> dict[str, Any]:
    return {"workloads": [{**LEAST, **changes}]}


def make_pod_document(**changes: Any) -> dict[str, Any]:
    return make_document(pods=[{"name": "a-0", "phase": "ready", **changes}])


def test_reading_undoes_writing() -> None:
    assert from_document(json.loads(json.dumps(to_document(WHOLE)))) == WHOLE


def test_what_nobody_said_is_unknown() -> None:
    (workload,) = from_document(make_document()).workloads
    assert (workload.workload, workload.requested_replicas) == (WorkloadRef("prod", "a"), None)
    (pod,) = workload.pods
    assert (pod.pod.uid, pod.url, pod.phase, pod.created_s, pod.ready_s) == ("", "", PodPhase.READY, None, None)


def test_workload_is_found_by_its_whole_identity() -> None:
    assert WHOLE.get(WorkloadRef("prod", "a")) is WHOLE.workloads[0]
    assert WHOLE.get(WorkloadRef("prod", "a", "StatefulSet")) is None
    assert WHOLE.get(WorkloadRef("other", "a")) is None


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "workloads",
        {},
        {"workloads": None},
        {"workloads": {"a": 1}},
        {"workloads": ["a"]},
        {"workloads": [[]]},
        make_document(name=None),
        make_document(namespace=5),
        make_document(kind=["Deployment"]),
        make_document(pods=None),
        make_document(pods=["a-0"]),
        make_document(requested_replicas=-1),
        make_document(requested_replicas=1.5),
        make_document(requested_replicas="1"),
        make_document(requested_replicas=True),
        make_pod_document(name=7),
        make_pod_document(url=None),
        make_pod_document(uid=1),
        make_pod_document(phase="Running"),
        make_pod_document(phase=None),
        make_pod_document(created_s="yesterday"),
        make_pod_document(created_s=float("nan")),
        make_pod_document(ready_s=float("inf")),
        make_pod_document(ready_s=True),
        make_pod_document(ready_s=10**400),
    ],
)
def test_what_cannot_be_read_is_refused(document: object) -> None:
    with pytest.raises(BadDocument, match="inventory cannot be read"):
        from_document(document)
