"""Every right that the chart grants is there for a value, and nothing else is granted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.deploy.chart import NAMESPACE, Helm
from tests.deploy.rights import Right, flatten, list_foreign_roles, list_rights
from tests.deploy.value_sets import VALUE_SETS

REGISTRATION = "v1beta1.external.metrics.k8s.io"


def _rights(scope: str, group: str, resources: str, verbs: str, name: str = "") -> set[Right]:
    return {Right(scope, group, resource, verb, name) for resource in resources.split() for verb in verbs.split()}


def _watch(scope: str, group: str, resources: str) -> set[Right]:
    return _rights(scope, group, resources, "list watch")


READ = (
    _watch("*", "apps", "deployments statefulsets replicasets")
    | _watch("*", "", "pods nodes")
    | _watch("*", "autoscaling", "horizontalpodautoscalers")
)
DECISIONS = _rights("*", "variant-autoscaler.io", "variantdecisions", "get list watch create update delete") | _rights(
    "*", "variant-autoscaler.io", "variantdecisions/status", "update"
)
OWN = (
    _rights(NAMESPACE, "coordination.k8s.io", "leases", "create")
    | _rights(NAMESPACE, "coordination.k8s.io", "leases", "get update", "variant-autoscaler")
    | _rights(NAMESPACE, "", "configmaps", "get list watch create patch delete")
)
HEARTBEATS = _rights("*", "", "configmaps", "get", "variant-autoscaler-heartbeat")
LEAST = READ | DECISIONS | HEARTBEATS | OWN
LEAST_VALUES: dict[str, Any] = {
    "discover": {"leaderWorkerSets": False, "scaledObjects": False, "podAutoscalers": False},
    "limits": {"quotas": False},
    "events": False,
    "apiService": {"create": False},
}
SCALE = _rights("*", "apps", "deployments/scale statefulsets/scale", "get patch")
ADDED: dict[str, tuple[dict[str, Any], set[Right]]] = {
    "discover.leaderWorkerSets": (
        {"discover": {"leaderWorkerSets": True}},
        _watch("*", "leaderworkerset.x-k8s.io", "leaderworkersets"),
    ),
    "discover.scaledObjects": ({"discover": {"scaledObjects": True}}, _watch("*", "keda.sh", "scaledobjects")),
    "discover.podAutoscalers": (
        {"discover": {"podAutoscalers": True}},
        _watch("*", "autoscaling.aibrix.ai", "podautoscalers"),
    ),
    "discover.otherKinds": (
        {"discover": {"otherKinds": [{"group": "argoproj.io", "resource": "rollouts"}]}},
        _rights("*", "argoproj.io", "rollouts rollouts/scale", "get"),
    ),
    "limits.quotas": ({"limits": {"quotas": True}}, _watch("*", "", "resourcequotas")),
    "limits.nodes": ({"limits": {"nodes": True}}, set()),
    "events": ({"events": True}, _rights("*", "events.k8s.io", "events", "create patch")),
    "actuation.scale": ({"actuation": {"scale": True}}, SCALE),
    "actuation.patchZero": ({"actuation": {"patchZero": True}}, SCALE),
    "actuation.bridgeTolerance": ({"actuation": {"bridgeTolerance": True}}, SCALE),
    "actuation.podDeletionCost": ({"actuation": {"podDeletionCost": True}}, _rights("*", "", "pods", "patch")),
    "apiService.create": (
        {"apiService": {"create": True}},
        _rights("*", "apiregistration.k8s.io", "apiservices", "get patch", REGISTRATION)
        | _rights(NAMESPACE, "", "secrets", "create")
        | _rights(NAMESPACE, "", "secrets", "get update", "variant-autoscaler-certificate"),
    ),
    "certificates of cert-manager": (
        {"apiService": {"create": True}, "certificates": {"kind": "certManager"}},
        _rights("*", "apiregistration.k8s.io", "apiservices", "get", REGISTRATION),
    ),
    "certificates of the chart": (
        {"apiService": {"create": True}, "certificates": {"kind": "chart"}},
        _rights("*", "apiregistration.k8s.io", "apiservices", "get", REGISTRATION),
    ),
}


def _merge(values: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    merged = dict(values)
    for key, value in more.items():
        merged[key] = {**values[key], **value} if isinstance(value, dict) and key in values else value
    return merged


def test_with_everything_off_it_may_read_workloads_and_keep_its_own_objects(helm: Helm) -> None:
    rendered = helm.render(LEAST_VALUES)
    assert list_rights(rendered) == LEAST
    assert list_foreign_roles(rendered) == set()


@pytest.mark.parametrize("switch", ADDED)
def test_a_switch_adds_its_rights_and_no_other(helm: Helm, switch: str) -> None:
    values, expected = ADDED[switch]
    assert list_rights(helm.render(_merge(LEAST_VALUES, values))) - LEAST == expected
    assert list_rights(helm.render(_merge(LEAST_VALUES, values))) >= LEAST


def test_the_default_has_the_rights_of_its_switches(helm: Helm) -> None:
    on = ["discover.leaderWorkerSets", "discover.scaledObjects", "discover.podAutoscalers"]
    on += ["limits.quotas", "events", "apiService.create"]
    assert list_rights(helm.render()) == LEAST.union(*(ADDED[switch][1] for switch in on))


def test_serving_the_api_takes_the_two_roles_of_kubernetes_for_it(helm: Helm) -> None:
    assert list_foreign_roles(helm.render()) == {
        ("*", "system:auth-delegator"),
        ("kube-system", "extension-apiserver-authentication-reader"),
    }


def test_named_namespaces_get_roles_and_nothing_beyond_them_can_be_watch(helm: Helm) -> None:
    everywhere = list_rights(helm.render())
    named = list_rights(helm.render({"namespaces": ["chat", "batch"]}))
    of_cluster = {right for right in everywhere if right.scope == "*" and right.name != REGISTRATION}
    for namespace in ("chat", "batch"):
        expected = {
            Right(namespace, right.group, right.resource, right.verb, right.name)
            for right in of_cluster
            if right.resource != "nodes"
        }
        assert {right for right in named if right.scope == namespace} == expected
    assert {right for right in named if right.scope == "*"} == {
        right for right in everywhere if right.name == REGISTRATION
    }


def test_pages_only_in_named_namespaces_takes_no_right_in_the_cluster(helm: Helm) -> None:
    rendered = helm.render(VALUE_SETS["pages only, one namespace"])
    assert not rendered.list("ClusterRole")
    assert not rendered.list("ClusterRoleBinding")


def test_the_release_may_live_in_a_namespace_that_is_watched(helm: Helm) -> None:
    rendered = helm.render({"namespaces": [NAMESPACE]})
    names = [(role["metadata"]["namespace"], role["metadata"]["name"]) for role in rendered.list("Role")]
    assert len(set(names)) == len(names) == 2


@pytest.mark.parametrize("name", VALUE_SETS)
def test_no_rule_means_everything(helm: Helm, name: str) -> None:
    for kind in ("ClusterRole", "Role"):
        for role in helm.render(VALUE_SETS[name]).list(kind):
            for rule in role["rules"]:
                parts = [part for right in flatten(rule, "") for part in (right.group, right.resource, right.verb)]
                assert not [part for part in parts if "*" in part], (role["metadata"]["name"], rule)
                assert "nonResourceURLs" not in rule
                assert "secrets" not in rule["resources"] or not {"list", "watch"} & set(rule["verbs"])
                assert not {"escalate", "bind", "impersonate"} & set(rule["verbs"])


def test_readers_of_the_metrics_may_read_them_by_name_and_nothing_else(helm: Helm) -> None:
    rendered = helm.render(VALUE_SETS["everything on"])
    (role,) = [role for role in rendered.list("ClusterRole") if role["metadata"]["name"].endswith("metrics-reader")]
    assert role["rules"] == [
        {
            "apiGroups": ["external.metrics.k8s.io"],
            "resources": ["deployment_replicas", "deployment_replicas.llama-8b-l40s"],
            "verbs": ["get", "list"],
        }
    ]
    binding = rendered.get("ClusterRoleBinding", role["metadata"]["name"])
    assert binding["subjects"] == VALUE_SETS["everything on"]["apiService"]["readers"]


def test_without_rbac_nothing_is_granted(helm: Helm) -> None:
    rendered = helm.render({"rbac": {"create": False}})
    for kind in ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"):
        assert not rendered.list(kind)
