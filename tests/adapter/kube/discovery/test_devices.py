from __future__ import annotations

from typing import Any

import pytest

from adapter.kube.discovery.devices import DeviceCounter
from tests.builders.cluster_objects import load, make_workload


def _container(requests: dict[str, Any] | None = None, limits: dict[str, Any] | None = None, **more: Any) -> Any:
    return {"name": "c", "resources": {"requests": requests or {}, "limits": limits or {}}, **more}


def test_requests_and_limits_of_devices_are_the_same_thing() -> None:
    counter = DeviceCounter()
    for container in (_container({"nvidia.com/gpu": "2"}), _container(None, {"nvidia.com/gpu": 2})):
        assert counter.count_pod({"spec": {"containers": [container]}}) == {"nvidia.com/gpu": 2}
    both = _container({"nvidia.com/gpu": "2"}, {"nvidia.com/gpu": "2"})
    assert counter.count_pod({"spec": {"containers": [both, both]}}) == {"nvidia.com/gpu": 4}


def test_init_containers_give_back_and_sidecars_do_not() -> None:
    init = _container({"nvidia.com/gpu": "3"})
    sidecar = _container({"nvidia.com/gpu": "1"}, restartPolicy="Always")
    main = _container({"nvidia.com/gpu": "1"})
    counter = DeviceCounter()
    assert counter.count_pod({"spec": {"initContainers": [init], "containers": [main]}}) == {"nvidia.com/gpu": 3}
    assert counter.count_pod({"spec": {"initContainers": [sidecar], "containers": [main]}}) == {"nvidia.com/gpu": 2}
    # Started before the sidecar, beside nothing; after it, beside it.
    assert counter.count_pod({"spec": {"initContainers": [init, sidecar], "containers": [main]}}) == {
        "nvidia.com/gpu": 3
    }
    assert counter.count_pod({"spec": {"initContainers": [sidecar, init], "containers": [main]}}) == {
        "nvidia.com/gpu": 4
    }


@pytest.mark.parametrize(
    "resource, is_one",
    [
        ("nvidia.com/gpu", True),
        ("nvidia.com/mig-3g.40gb", True),
        ("amd.com/gpu", True),
        ("habana.ai/gaudi", True),
        ("google.com/tpu", True),
        ("huawei.com/Ascend910", True),
        ("huawei.com/Ascend910B4-memory", False),
        ("cpu", False),
        ("memory", False),
        ("rdma/hca", False),
        ("nvidia.com/gpumem", False),
        ("example.com/gpu", False),
    ],
)
def test_accelerators_are_told_from_other_resources(resource: str, is_one: bool) -> None:
    assert DeviceCounter().is_accelerator(resource) is is_one


def test_further_resources_are_configured() -> None:
    counter = DeviceCounter(("example.com/*",))
    assert counter.is_accelerator("example.com/chip")
    assert not counter.is_accelerator("nvidia.com/gpu")
    assert not DeviceCounter(()).is_accelerator("nvidia.com/gpu")


def test_a_group_counts_its_leader_and_its_workers() -> None:
    lws = load("leader_worker_set")[0]
    assert DeviceCounter().count_replica(lws) == {"nvidia.com/gpu": 16}
    lws["spec"]["leaderWorkerTemplate"]["size"] = 4
    assert DeviceCounter().count_replica(lws) == {"nvidia.com/gpu": 32}
    del lws["spec"]["leaderWorkerTemplate"]["size"]  # the leader alone
    assert DeviceCounter().count_replica(lws) == {"nvidia.com/gpu": 8}


def test_workers_lend_their_template_to_a_leader_without_one() -> None:
    lws = load("leader_worker_set")[0]
    del lws["spec"]["leaderWorkerTemplate"]["leaderTemplate"]
    lws["spec"]["leaderWorkerTemplate"]["size"] = 3
    assert DeviceCounter().count_replica(lws) == {"nvidia.com/gpu": 24}


def test_a_replica_without_devices_has_none() -> None:
    assert DeviceCounter().count_replica(make_workload("cpu-only", devices=0)) == {}


@pytest.mark.parametrize("amount", ["0", "x", None, True, [], "-1"])
def test_amounts_that_are_no_count_are_none(amount: object) -> None:
    pod = {"spec": {"containers": [_container({"nvidia.com/gpu": amount})]}}
    assert DeviceCounter().count_pod(pod) == {}


def test_nodes_tell_what_they_can_give() -> None:
    given = {node["metadata"]["name"]: DeviceCounter().count_allocatable(node) for node in load("nodes")}
    assert given["gke-h100"] == {"nvidia.com/gpu": 8}
    assert given["ascend"] == {"huawei.com/Ascend910": 8}
    assert given["cpu"] == {}
