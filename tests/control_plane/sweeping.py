"""Removes everything that a test left in a cluster, so that the next one finds it as new. It asks nobody's leave."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from adapter.errors import Conflict, NotFound
from adapter.kube.client import Json, KubeClient
from adapter.kube.resource import API_SERVICES, NAMESPACES, NODES, Resource
from tests.control_plane.waiting import wait_until

_NAMESPACES_OF_THE_SYSTEM = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})
_AUTOMANAGED = "kube-aggregator.kubernetes.io/automanaged"
_BOOTSTRAPPING = "kubernetes.io/bootstrapping"
_FORCE = {"gracePeriodSeconds": "0", "propagationPolicy": "Background"}

CUSTOM_RESOURCE_DEFINITIONS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
CLUSTER_ROLES = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDINGS = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")

_IN_NAMESPACES = (
    Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    Resource("apps", "v1", "deployments", "Deployment"),
    Resource("apps", "v1", "statefulsets", "StatefulSet"),
    Resource("apps", "v1", "replicasets", "ReplicaSet"),
    Resource("", "v1", "resourcequotas", "ResourceQuota"),
    Resource("", "v1", "pods", "Pod"),
)
"""In this order: what makes pods goes before the pods."""


async def sweep(client: KubeClient) -> None:
    """Remove what a test left; namespaces may take a little longer to be gone, and their names are not used again."""
    await _remove(client, API_SERVICES, lambda found: _AUTOMANAGED not in _get_labels(found))
    for resource in (*_IN_NAMESPACES, ROLES, ROLE_BINDINGS):
        await _remove(client, resource, _is_not_of_the_system)
    await _remove(client, NAMESPACES, lambda found: _get_name(found) not in _NAMESPACES_OF_THE_SYSTEM)
    await _remove(client, NODES, lambda _: True)
    for resource in (CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS):
        await _remove(client, resource, _is_not_of_the_system)
    await _remove(client, CUSTOM_RESOURCE_DEFINITIONS, lambda _: True)
    await _wait_for_pods(client)


async def _remove(client: KubeClient, resource: Resource, is_left: Callable[[Json], bool]) -> None:
    for found in (await client.list(resource))["items"]:
        if is_left(found):
            path = resource.get_path(found["metadata"].get("namespace"), _get_name(found))
            with suppress(NotFound, Conflict):  # somebody else may be faster
                await client.request("DELETE", path, query=_FORCE)


async def _wait_for_pods(client: KubeClient) -> None:
    """Wait until no pod is left: controllers that were slow to hear of the end may have made some more."""
    pods = _IN_NAMESPACES[-1]

    async def look() -> list[str]:
        await _remove(client, pods, lambda _: True)
        return [_get_name(pod) for pod in (await client.list(pods))["items"]]

    await wait_until(look, lambda names: not names, what="all pods of the test are gone")


def _is_not_of_the_system(found: Json) -> bool:
    return _BOOTSTRAPPING not in _get_labels(found) and not _get_name(found).startswith("system:controller:")


def _get_labels(found: Json) -> Json:
    labels: Json = found["metadata"].get("labels") or {}
    return labels


def _get_name(found: Json) -> str:
    return str(found["metadata"]["name"])
