"""Placing pods by the rules of the scheduler that matter to accelerators."""

from __future__ import annotations

import pytest

from adapter.kube.client import Json
from tests.control_plane.fake_nodes import FakeNode, count_accelerators, place_pods
from tests.control_plane.pods import PRODUCT, make_pod_template

L40S = FakeNode("l40s", "NVIDIA-L40S", 4).to_object()
A100 = FakeNode("a100", "NVIDIA-A100", 8).to_object()
BARE = FakeNode("bare").to_object()


def make_pod(name: str, *, accelerators: int = 0, product: str | None = None, created: str = "2026-01-01") -> Json:
    template = make_pod_template({"app": name}, accelerators=accelerators, product=product)
    return {**template, "metadata": {"name": name, "uid": name, "creationTimestamp": created}, "status": {}}


def test_a_pod_goes_to_a_node_that_it_selects_and_that_has_devices() -> None:
    pods = [make_pod("any"), make_pod("l", accelerators=1, product="NVIDIA-L40S"), make_pod("a", accelerators=8)]
    placing = place_pods(pods, [BARE, L40S, A100], [])
    assert placing.nodes == {"any": "bare", "l": "l40s", "a": "a100"}
    assert placing.refusals == {}


def test_devices_are_never_overbooked_and_older_pods_come_first() -> None:
    old = make_pod("old", accelerators=3, created="2026-01-01")
    new = make_pod("new", accelerators=3, created="2026-01-02")
    placing = place_pods([new, old], [L40S], [])
    assert placing.nodes == {"old": "l40s"}
    assert placing.refusals == {"new": "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."}


def test_pods_that_are_there_take_their_devices() -> None:
    there = make_pod("there", accelerators=4)
    there["spec"]["nodeName"] = "l40s"
    assert place_pods([make_pod("new", accelerators=1)], [L40S], [there]).nodes == {}


def test_cordoned_and_tainted_nodes_take_only_pods_that_tolerate_it() -> None:
    cordoned, tainted = FakeNode("c").to_object(), FakeNode("t").to_object()
    cordoned["spec"] = {"unschedulable": True}
    tainted["spec"] = {"taints": [{"key": "reserved", "value": "yes", "effect": "NoSchedule"}]}
    refusal = place_pods([make_pod("pod")], [cordoned, tainted], []).refusals["pod"]
    assert refusal == "0/2 nodes are available: 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable."
    tolerant = make_pod("tolerant")
    tolerant["spec"]["tolerations"] = [{"key": "reserved", "operator": "Exists"}]
    assert place_pods([tolerant], [cordoned, tainted], []).nodes == {"tolerant": "t"}


@pytest.mark.parametrize(
    "operator, values, node",
    [
        ("In", ["NVIDIA-A100"], "a100"),
        ("NotIn", ["NVIDIA-L40S"], "a100"),
        ("Exists", [], "l40s"),
        ("DoesNotExist", [], "bare"),
    ],
)
def test_required_affinity_is_kept(operator: str, values: list[str], node: str) -> None:
    pod = make_pod("pod")
    wish = {"key": PRODUCT, "operator": operator, "values": values}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [wish]}]}
    pod["spec"]["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    assert place_pods([pod], [L40S, A100, BARE], []).nodes == {"pod": node}


def test_all_containers_of_a_pod_count_and_limits_stand_in_for_requests() -> None:
    pod = make_pod("pod", accelerators=2)
    pod["spec"]["containers"].append({"name": "side", "resources": {"limits": {"nvidia.com/gpu": "1"}}})
    assert count_accelerators(pod) == 3
