"""The scale subresource, as it comes over the wire."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes_asyncio.client import ApiClient, Configuration

from adapter.errors import BadDocument, Conflict, Denied, NotFound
from adapter.kube.client import KubeClient
from adapter.kube.resource import CONFIG_MAPS, DEPLOYMENTS, Resource
from adapter.kube.scale import Scale, patch_scale, read_scale
from tests.builders.fake_kube_api import FakeKubeApi
from tests.builders.fake_servers import FakeServers, answer_with

INFERENCE_SERVICES = Resource("serving.example", "v1", "inferences", "Inference")


def make(replicas: int) -> dict[str, Any]:
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "a", "tier": "gpu"}}}
    return {"metadata": {"name": "a", "namespace": "prod"}, "spec": spec, "status": {"replicas": 3}}


async def test_reads_what_is_asked_for_what_exists_and_whose_pods(
    kube_api: FakeKubeApi, kube_client: KubeClient
) -> None:
    version = kube_api.put(DEPLOYMENTS, make(4))["metadata"]["resourceVersion"]
    assert await read_scale(kube_client, DEPLOYMENTS, "prod", "a") == Scale(4, 3, "app=a,tier=gpu", version)


async def test_a_zero_that_the_wire_leaves_out_is_zero(kube_api: FakeKubeApi, kube_client: KubeClient) -> None:
    kube_api.put(DEPLOYMENTS, make(0))
    document = await kube_client.get(DEPLOYMENTS, "prod", "a", "scale")
    assert "replicas" not in document["spec"]
    assert (await read_scale(kube_client, DEPLOYMENTS, "prod", "a")).spec_replicas == 0


@pytest.mark.parametrize("replicas", [0, 1, 7])
async def test_asks_for_replicas_and_nothing_else(
    kube_api: FakeKubeApi, kube_client: KubeClient, replicas: int
) -> None:
    kube_api.put(DEPLOYMENTS, make(4))
    assert (await patch_scale(kube_client, DEPLOYMENTS, "prod", "a", replicas)).spec_replicas == replicas
    stored = kube_api.get(DEPLOYMENTS, "prod", "a")
    assert stored["spec"] == make(replicas)["spec"]
    assert [(call.verb, call.subresource, call.body) for call in kube_api.calls] == [
        ("patch", "scale", {"spec": {"replicas": replicas}})
    ]


async def test_yields_to_whoever_changed_the_object_since_it_was_seen(
    kube_api: FakeKubeApi, kube_client: KubeClient
) -> None:
    kube_api.put(DEPLOYMENTS, make(0))
    seen = await read_scale(kube_client, DEPLOYMENTS, "prod", "a")
    kube_api.change(DEPLOYMENTS, "prod", "a", {"metadata": {"labels": {"a": "b"}}})
    with pytest.raises(Conflict):
        await patch_scale(kube_client, DEPLOYMENTS, "prod", "a", 1, seen=seen)
    seen = await read_scale(kube_client, DEPLOYMENTS, "prod", "a")
    assert (await patch_scale(kube_client, DEPLOYMENTS, "prod", "a", 1, seen=seen)).spec_replicas == 1


async def test_any_kind_with_a_scale_will_do(kube_api: FakeKubeApi, kube_client: KubeClient) -> None:
    kube_api.install(INFERENCE_SERVICES, has_scale=True)
    about = {"name": "a", "namespace": "prod"}
    kube_api.put(INFERENCE_SERVICES, {"metadata": about, "spec": {"replicas": 2}, "status": {"selector": "x=y"}})
    assert (await read_scale(kube_client, INFERENCE_SERVICES, "prod", "a")).selector == "x=y"
    assert (await patch_scale(kube_client, INFERENCE_SERVICES, "prod", "a", 5)).spec_replicas == 5


async def test_an_object_or_a_kind_without_scale_is_not_found(kube_api: FakeKubeApi, kube_client: KubeClient) -> None:
    kube_api.put(CONFIG_MAPS, {"metadata": {"name": "a", "namespace": "prod"}})
    for resource in (DEPLOYMENTS, CONFIG_MAPS):
        with pytest.raises(NotFound):
            await read_scale(kube_client, resource, "prod", "a")


async def test_a_missing_right_names_the_subresource(kube_api: FakeKubeApi, kube_client: KubeClient) -> None:
    kube_api.deny("patch", "deployments")
    with pytest.raises(Denied, match='cannot patch resource "deployments/scale" in API group "apps"'):
        await patch_scale(kube_client, DEPLOYMENTS, "prod", "a", 1)


@pytest.mark.parametrize("body", [b"{}", b'{"spec": 5}', b'{"spec": {"replicas": "many"}, "metadata": {}}'])
async def test_an_answer_that_is_no_scale_is_told_as_such(servers: FakeServers, body: bytes) -> None:
    server = await servers.open(answer_with(body))
    async with ApiClient(Configuration(host=server.url)) as api:
        with pytest.raises(BadDocument, match="an answer of /scale cannot be read"):
            await read_scale(KubeClient(api), DEPLOYMENTS, "prod", "a")
