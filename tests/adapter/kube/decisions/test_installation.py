"""Names of objects and labels of installations: distinct, stable, and within what the API allows."""

from __future__ import annotations

import re

import pytest

from adapter.kube.decisions.installation import Installation, get_object_name, get_refusal_name
from optimizer.domain import WorkloadRef

NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
WORKLOADS = [
    WorkloadRef("prod", "llama"),
    WorkloadRef("prod", "llama", "StatefulSet"),
    WorkloadRef("prod", "llama", "LeaderWorkerSet", "leaderworkerset.x-k8s.io/v1"),
    WorkloadRef("prod", "llama", "Deployment", "example.com/v1"),
    WorkloadRef("prod", "llama", "InferenceService", "serving.kserve.io/v1beta1"),
    WorkloadRef("prod", "llama", "InferenceService", "other.io/v1beta1"),
    WorkloadRef("prod", "llama-deployment", "StatefulSet"),
    WorkloadRef("prod", "llama.v2"),
    WorkloadRef("prod", "a" * 253),
    WorkloadRef("prod", "a" * 253, "StatefulSet"),
    WorkloadRef("prod", "a" * 252 + "b"),
    WorkloadRef("prod", "Llama"),
    WorkloadRef("prod", "x" * 240, "Deployment"),
]


def test_every_workload_has_a_name_of_its_own_that_the_api_takes() -> None:
    names = [get_object_name(workload) for workload in WORKLOADS]
    assert len(set(names)) == len(WORKLOADS)
    assert all(NAME.fullmatch(name) and len(name) <= 253 for name in names), names


def test_the_kinds_everybody_uses_are_named_so_that_people_can_guess() -> None:
    assert get_object_name(WORKLOADS[0]) == "llama-deployment"
    assert get_object_name(WORKLOADS[1]) == "llama-statefulset"
    assert get_object_name(WORKLOADS[2]) == "llama-leaderworkerset"


def test_a_name_does_not_depend_on_the_version_of_the_kind() -> None:
    old = WorkloadRef("prod", "llama", "InferenceService", "serving.kserve.io/v1alpha1")
    assert get_object_name(old) == get_object_name(WORKLOADS[4]) == "llama-inferenceservice-f45c9aefee"


def test_refusals_of_different_installations_have_names_of_their_own() -> None:
    installations = [Installation("a", "b"), Installation("a", "c"), Installation("b", "b")]
    names = {get_refusal_name(workload, one) for workload in WORKLOADS for one in installations}
    assert len(names) == len(WORKLOADS) * len(installations)
    assert names.isdisjoint(get_object_name(workload) for workload in WORKLOADS)
    assert all(NAME.fullmatch(name) and len(name) <= 253 for name in names)


@pytest.mark.parametrize("namespace", ["autoscaler", "n" * 63])
@pytest.mark.parametrize("name", ["variant-autoscaler", "v" * 253, "odd name!"])
def test_an_installation_can_always_be_selected_by_label(namespace: str, name: str) -> None:
    label = Installation(namespace, name).label
    assert LABEL.fullmatch(label)
    assert len(label) <= 63
    assert label != Installation(namespace, name + "x").label
