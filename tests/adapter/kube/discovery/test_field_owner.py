from __future__ import annotations

from typing import Any

import pytest

from adapter.kube.discovery.field_owner import LAST_APPLIED, find_replicas_owner
from adapter.kube.discovery.trimming import trim_workload
from tests.builders.cluster_objects import load, make_workload


def _managed(manager: str, operation: str = "Update", *, field: str = "f:replicas", **more: Any) -> Any:
    workload = make_workload("llama")
    workload["metadata"]["managedFields"] = [
        {"manager": manager, "operation": operation, "fieldsV1": {"f:spec": {field: {}}}, **more}
    ]
    return workload


@pytest.mark.parametrize(
    "manager, operation, expected",
    [
        ("argocd-controller", "Apply", "argocd-controller"),
        ("kustomize-controller", "Apply", "kustomize-controller"),
        ("somebody-else", "Apply", "somebody-else"),
        ("argocd-application-controller", "Update", "argocd-application-controller"),
        ("helm", "Update", "helm"),
        ("kubectl-client-side-apply", "Update", "kubectl-client-side-apply"),
        ("kubectl-create", "Update", ""),
        ("kubectl-edit", "Update", ""),
        ("kube-controller-manager", "Update", ""),
        ("variant-autoscaler", "Apply", ""),
        ("keda", "Apply", ""),
    ],
)
def test_whoever_declares_replicas_owns_them(manager: str, operation: str, expected: str) -> None:
    workload = _managed(manager, operation)
    assert find_replicas_owner(workload) == expected
    assert find_replicas_owner(trim_workload(workload)) == expected


def test_whoever_went_through_scale_or_owns_other_fields_does_not() -> None:
    assert find_replicas_owner(_managed("argocd", "Apply", subresource="scale")) == ""
    assert find_replicas_owner(_managed("argocd", "Apply", field="f:template")) == ""
    assert find_replicas_owner(make_workload("llama")) == ""


@pytest.mark.parametrize(
    "text, expected",
    [
        ('{"spec": {"replicas": 3}}', "kubectl-client-side-apply"),
        ('{"spec": {"replicas": 0}}', "kubectl-client-side-apply"),
        ('{"spec": {"template": {}}}', ""),
        ("{", ""),
        ("[]", ""),
        ("", ""),
    ],
)
def test_a_manifest_that_was_applied_declares_what_is_in_it(text: str, expected: str) -> None:
    workload = make_workload("llama", annotations={LAST_APPLIED: text})
    assert find_replicas_owner(workload) == expected
    assert find_replicas_owner(trim_workload(workload)) == expected


def test_a_deployment_applied_without_replicas_belongs_to_its_scaler() -> None:
    assert find_replicas_owner(load("ours")[0]) == ""
