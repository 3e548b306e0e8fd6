from __future__ import annotations

import doctest
from typing import Any

import pytest

from adapter.kube.discovery import placement
from adapter.kube.discovery.placement import Placement, find_asked_accelerator, find_placement, read_node_accelerator
from tests.builders.cluster_objects import load


def _affinity(*terms: list[dict[str, Any]]) -> dict[str, Any]:
    listed = [{"matchExpressions": term} for term in terms]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": listed}}
    return {"spec": {"affinity": {"nodeAffinity": required}}}


def _in(key: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": "In", "values": list(values)}


H100 = _in("nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3")


@pytest.mark.parametrize(
    "template, expected",
    [
        ({"spec": {"nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-L40S"}}}, "L40S"),
        ({"spec": {"nodeSelector": {"cloud.google.com/gke-accelerator": "nvidia-h100-80gb"}}}, "H100"),
        ({"spec": {"nodeSelector": {"karpenter.k8s.aws/instance-gpu-name": "l40s"}}}, "L40S"),
        ({"spec": {"nodeSelector": {"node.kubernetes.io/instance-type": "p5.48xlarge"}}}, "H100"),
        ({"spec": {"nodeSelector": {"node.kubernetes.io/instance-type": "m7i.large"}}}, None),
        ({"spec": {"nodeSelector": {"pool": "gpu"}}}, None),
        ({}, None),
        (_affinity([H100]), "H100"),
        (_affinity([H100, _in("zone", "a", "b")]), "H100"),
        (_affinity([_in("nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3", "NVIDIA-H100-80GB-HBM2e")]), "H100"),
        (_affinity([_in("nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3", "NVIDIA-L40S")]), None),
        (_affinity([H100], [_in("cloud.google.com/gke-accelerator", "nvidia-h100-80gb")]), "H100"),
        (_affinity([H100], [_in("zone", "a")]), None),  # the second alternative admits anything
        (_affinity([H100], [_in("nvidia.com/gpu.product", "NVIDIA-L40S")]), None),
        (_affinity([{"key": "nvidia.com/gpu.product", "operator": "NotIn", "values": ["NVIDIA-L40S"]}]), None),
        (_affinity([_in("nvidia.com/gpu.product")]), None),
        (_affinity([_in("node.kubernetes.io/instance-type", "g6e.xlarge", "g6e.2xlarge")]), "L40S"),
        (_affinity([_in("node.kubernetes.io/instance-type", "g6e.xlarge", "m7i.large")]), None),
    ],
)
def test_template_names_a_type_only_where_it_admits_no_other(template: Any, expected: str | None) -> None:
    assert find_asked_accelerator(template) == expected


def test_nodes_are_read_as_their_clouds_label_them() -> None:
    found = {node["metadata"]["name"]: read_node_accelerator(node) for node in load("nodes")}
    assert found == {
        "gke-h100": "H100",
        "operator-h100": "H100",
        "eks-l40s": "L40S",
        "eks-a100": "A100-40GB",
        "amd": "MI300X",
        "ascend": "Ascend910B4",
        "cordoned-h100": "H100",
        "cpu": None,
    }


def test_asking_beats_seeing() -> None:
    assert find_placement("H100", ["L40S", "L40S"], "A100") == Placement("H100")


def test_nothing_asked_seen_or_remembered_is_unknown() -> None:
    assert find_placement(None, []) == Placement(None)


def test_at_zero_replicas_the_type_is_remembered() -> None:
    assert find_placement(None, [], "H100") == Placement("H100", is_seen=True)


def test_several_types_are_told_and_do_not_flap() -> None:
    first = find_placement(None, ["H100", "H100", "L40S"])
    assert first == Placement("H100", (("L40S", 1),), is_seen=True)
    later = find_placement(None, ["H100", "L40S", "L40S"], first.accelerator)
    assert later == Placement("H100", (("L40S", 2),), is_seen=True)
    assert find_placement(None, ["L40S", "L40S"], later.accelerator) == Placement("L40S", is_seen=True)


def test_examples_hold() -> None:
    assert doctest.testmod(placement).failed == 0
