from __future__ import annotations

from typing import Any

import pytest

from adapter.cluster import AmountKind
from adapter.kube.discovery.devices import DeviceCounter
from adapter.kube.discovery.nodes import read_node_amounts, takes_pods
from tests.builders.cluster_objects import load, make_node, make_pods, make_workload

COUNTER = DeviceCounter()
DEDICATED = {"key": "dedicated", "value": "x", "effect": "NoSchedule"}
OURS, STRANGER = make_workload("ours"), make_workload("stranger")


def _amounts(
    nodes: Any, pods: Any = (), *, accelerators: Any = ("H100",), tolerations: Any = (), ours: Any = ()
) -> dict[str, float]:
    uids = frozenset(pod["metadata"]["uid"] for pod in ours)
    amounts = read_node_amounts(
        nodes, [*pods, *ours], uids, accelerators=accelerators, tolerations=tolerations, counter=COUNTER
    )
    assert all(amount.kind is AmountKind.NODES and amount.name == amount.accelerator for amount in amounts)
    return {amount.name: amount.amount for amount in amounts}


def test_free_devices_are_those_that_others_do_not_request() -> None:
    nodes = [make_node("a"), make_node("b")]
    strangers = make_pods(STRANGER, 3, node="a")
    assert _amounts(nodes, strangers, ours=make_pods(OURS, 2, node="a")) == {"H100": 13.0}


def test_pods_without_a_node_or_finished_hold_nothing() -> None:
    waiting, finished = make_pods(STRANGER, 1, node=None), make_pods(STRANGER, 1, node="a")
    finished[0]["status"]["phase"] = "Succeeded"
    assert _amounts([make_node("a")], [*waiting, *finished]) == {"H100": 8.0}


def test_more_requested_than_there_is_leaves_nothing_on_that_node_alone() -> None:
    assert _amounts([make_node("a", 2), make_node("b", 4)], make_pods(STRANGER, 5, node="a")) == {"H100": 4.0}


def test_nodes_that_take_no_pods_leave_us_what_we_hold() -> None:
    closed = make_node("a", unschedulable=True)
    assert _amounts([closed, make_node("b", 4)], ours=make_pods(OURS, 2, node="a")) == {"H100": 6.0}


def test_nodes_of_types_nobody_of_us_uses_are_not_told() -> None:
    assert _amounts([make_node("a", product="NVIDIA-L40S")], accelerators=["H100"]) == {"H100": 0.0}
    assert _amounts([make_node("a")], accelerators=[]) == {}


def test_a_type_may_be_on_nodes_whose_type_is_unknown() -> None:
    assert _amounts([make_node("a", product=None)], accelerators=["H100"]) == {}
    assert _amounts([make_node("a", product=None, devices=0)], accelerators=["H100"]) == {"H100": 0.0}


def test_slices_are_a_type_of_their_own() -> None:
    node = make_node("a", product="NVIDIA-A100-SXM4-80GB")
    node["status"]["allocatable"] = {"nvidia.com/mig-3g.40gb": "2", "nvidia.com/gpu": "6"}
    pods = make_pods(STRANGER, 1, node="a", resource="nvidia.com/mig-3g.40gb")
    assert _amounts([node], pods, accelerators=["A100", "A100-MIG-3g.40gb"]) == {"A100": 6.0, "A100-MIG-3g.40gb": 1.0}


def test_real_clouds_add_up() -> None:
    found = _amounts(load("nodes"), accelerators=["H100", "L40S", "A100-40GB", "MI300X", "Ascend910B4", "B200"])
    assert found == {"H100": 16, "L40S": 4, "A100-40GB": 8, "MI300X": 8, "Ascend910B4": 8, "B200": 0}


@pytest.mark.parametrize(
    "taint, tolerations, expected",
    [
        ({"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}, [], True),
        ({"key": "google.com/tpu", "effect": "NoExecute"}, [], True),
        ({"key": "dedicated", "value": "x", "effect": "PreferNoSchedule"}, [], True),
        ({"key": "dedicated", "value": "x", "effect": "NoSchedule"}, [], False),
        (
            {"key": "dedicated", "value": "x", "effect": "NoSchedule"},
            [{"key": "dedicated", "operator": "Exists"}],
            True,
        ),
        ({"key": "dedicated", "value": "x", "effect": "NoSchedule"}, [{"key": "dedicated", "value": "x"}], True),
        ({"key": "dedicated", "value": "x", "effect": "NoSchedule"}, [{"key": "dedicated", "value": "y"}], False),
        (
            {"key": "dedicated", "value": "x", "effect": "NoExecute"},
            [{"key": "dedicated", "value": "x", "effect": "NoSchedule"}],
            False,
        ),
        ({"key": "dedicated", "effect": "NoSchedule"}, [{"operator": "Exists"}], True),
        ({"key": "dedicated", "effect": "NoSchedule"}, [{"key": "dedicated"}], True),
    ],
)
def test_taints_keep_out_whoever_does_not_tolerate_them(taint: Any, tolerations: Any, expected: bool) -> None:
    assert takes_pods(make_node("a", taints=[taint]), tolerations, COUNTER) is expected


@pytest.mark.parametrize("status", ["False", "Unknown"])
def test_a_node_that_is_not_ready_takes_nothing(status: str) -> None:
    node = make_node("a")
    node["status"]["conditions"] = [{"type": "Ready", "status": status}]
    assert not takes_pods(node, [], COUNTER)
    node["status"]["conditions"] = []
    assert not takes_pods(node, [], COUNTER)
