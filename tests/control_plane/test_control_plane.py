"""The control plane itself: what every other test here stands on."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext

import pytest

from adapter.errors import Denied, NotFound, Refused, Unreachable
from adapter.kube.client import Json
from adapter.kube.resource import CONFIG_MAPS, DEPLOYMENTS, HORIZONTAL_POD_AUTOSCALERS, PODS, RESOURCE_QUOTAS, SERVICES
from tests.control_plane.cluster import Cluster
from tests.control_plane.control_plane import Part
from tests.control_plane.pods import make_deployment


async def test_the_version_asked_for_is_the_one_that_serves(cluster: Cluster) -> None:
    answer = await cluster.client.request("GET", "/version")
    assert answer["gitVersion"] == f"v{cluster.control_plane.k8s_version}"


async def test_a_deployment_makes_pods_that_wait_for_a_place(cluster: Cluster) -> None:
    namespace = await cluster.create_namespace()
    await cluster.create(DEPLOYMENTS, namespace, make_deployment("model", replicas=3))
    found = await cluster.wait_for(
        DEPLOYMENTS, namespace, "model", lambda it: it["status"].get("replicas") == 3, what="three pods counted"
    )
    assert found["status"].get("readyReplicas", 0) == 0
    pods = (await cluster.client.list(PODS, namespace))["items"]
    assert [pod["status"]["phase"] for pod in pods] == ["Pending"] * 3


async def test_what_aggregated_servers_authenticate_the_api_server_by_is_published(cluster: Cluster) -> None:
    found = await cluster.client.get(CONFIG_MAPS, "kube-system", "extension-apiserver-authentication")
    authority = cluster.control_plane.certificates.front_proxy_authority
    assert found["data"]["requestheader-client-ca-file"].encode() == authority.to_pem()


async def test_a_user_without_rights_is_told_so_and_admin_is_not(cluster: Cluster) -> None:
    stranger = await cluster.open_client(cluster.control_plane.write_kubeconfig("stranger", ("guests",)))
    with pytest.raises(Denied, match="stranger"):
        await stranger.list(PODS)
    assert (await cluster.client.list(PODS))["kind"] == "PodList"


async def test_a_service_account_is_who_its_token_says(cluster: Cluster) -> None:
    namespace = await cluster.create_namespace()
    client = await cluster.open_client(await cluster.write_service_account_kubeconfig(namespace, "robot"))
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = await client.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=review)
    assert answer["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:robot"


async def test_a_quota_of_accelerators_keeps_the_pods_beyond_it_away(cluster: Cluster) -> None:
    namespace = await cluster.create_namespace()
    quota = {"metadata": {"name": "accelerators"}, "spec": {"hard": {"requests.nvidia.com/gpu": "2"}}}
    await cluster.create(RESOURCE_QUOTAS, namespace, quota)
    await cluster.wait_for(
        RESOURCE_QUOTAS, namespace, "accelerators", lambda it: it["status"].get("used"), what="the quota is counted"
    )
    await cluster.create(DEPLOYMENTS, namespace, make_deployment("model", replicas=3, accelerators=1))
    await cluster.wait_for(
        DEPLOYMENTS,
        namespace,
        "model",
        lambda it: (
            it["status"].get("replicas") == 2
            and "exceeded quota" in _get_condition(it, "ReplicaFailure").get("message", "")
        ),
        what="two pods are there and the third is refused",
    )


async def test_tolerance_and_zero_are_kept_refused_or_dropped_as_the_version_says(cluster: Cluster) -> None:
    version = cluster.control_plane.version
    namespace = await cluster.create_namespace()
    stored = await cluster.create(HORIZONTAL_POD_AUTOSCALERS, namespace, _make_autoscaler("tolerant", 1))
    assert ("tolerance" in stored["spec"]["behavior"]["scaleUp"]) is version.has_tolerance
    with nullcontext() if version.takes_zero else pytest.raises(Refused, match="minReplicas"):
        await cluster.create(HORIZONTAL_POD_AUTOSCALERS, namespace, _make_autoscaler("zero", 0))


async def test_a_restarted_api_server_remembers_everything(cluster: Cluster) -> None:
    namespace = await cluster.create_namespace()
    await cluster.create(CONFIG_MAPS, namespace, {"metadata": {"name": "kept"}, "data": {"key": "value"}})
    process = cluster.control_plane.get_process(Part.API_SERVER)
    before = process.pid
    process.kill()
    with pytest.raises(Unreachable):
        await cluster.client.get(CONFIG_MAPS, namespace, "kept")
    await cluster.control_plane.bring_up(Part.API_SERVER)
    assert process.pid not in (None, before)
    assert (await cluster.client.get(CONFIG_MAPS, namespace, "kept"))["data"] == {"key": "value"}


async def test_a_paused_api_server_answers_nothing_and_then_goes_on(cluster: Cluster) -> None:
    process = cluster.control_plane.get_process(Part.API_SERVER)
    process.pause()
    try:
        with pytest.raises(Unreachable, match="no answer"):
            await cluster.client.request("GET", "/version", timeout_s=0.5)
    finally:
        process.resume()
    assert (await cluster.client.request("GET", "/version"))["major"]


async def test_one_test_leaves_nothing_to_the_next(cluster: Cluster) -> None:
    assert (await cluster.client.list(PODS))["items"] == []
    assert (await cluster.client.list(DEPLOYMENTS))["items"] == []

    async def list_services() -> list[str]:
        return [item["metadata"]["name"] for item in (await cluster.client.list(SERVICES))["items"]]

    await cluster.wait_until(list_services, lambda names: names == ["kubernetes"], what="namespaces are emptied")


async def test_waiting_in_vain_says_what_was_seen_last(cluster: Cluster) -> None:
    async def look() -> Json:
        await asyncio.sleep(0)
        return {"replicas": 3}

    with pytest.raises(AssertionError, match=r'four replicas; seen last:\n\{\n "replicas": 3'):
        await cluster.wait_until(look, lambda it: it["replicas"] == 4, what="four replicas", timeout_s=0.2)
    with pytest.raises(AssertionError, match="NotFound"):
        await cluster.wait_for(PODS, "default", "nobody", lambda _: True, what="somebody", timeout_s=0.2)
    with pytest.raises(NotFound):
        await cluster.client.get(PODS, "default", "nobody")


def _get_condition(found: Json, kind: str) -> Json:
    return next((it for it in found["status"].get("conditions", []) if it["type"] == kind), {})


def _make_autoscaler(name: str, min_replicas: int) -> Json:
    metric = {"metric": {"name": "deployment_replicas"}, "target": {"type": "AverageValue", "averageValue": "1"}}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": min_replicas,
            "maxReplicas": 32,
            "metrics": [{"type": "External", "external": metric}],
            "behavior": {"scaleUp": {"tolerance": "0"}},
        },
    }
