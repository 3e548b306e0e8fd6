"""Kinds found by asking the API which ones it has."""

from __future__ import annotations

import pytest
from kubernetes_asyncio.client import ApiClient, Configuration

from adapter.errors import BadDocument, NotFound, Unreachable
from adapter.kube.client import KubeClient
from adapter.kube.mapper import ResourceMapper
from adapter.kube.resource import DEPLOYMENTS, NODES, PODS, Resource
from tests.builders.fake_kube_api import ALL_RESOURCES, FakeKubeApi
from tests.builders.fake_servers import FakeServers, answer_with

ROLLOUTS = Resource("argoproj.io", "v1alpha1", "rollouts", "Rollout")


async def test_finds_every_kind_that_is_served(kube_client: KubeClient) -> None:
    mapper = ResourceMapper(kube_client)
    for resource in ALL_RESOURCES:
        assert await mapper.find(resource.api_version, resource.kind) == resource


async def test_asks_once_for_all_kinds_of_a_group_version(kube_api: FakeKubeApi, kube_client: KubeClient) -> None:
    mapper = ResourceMapper(kube_client)
    assert await mapper.find("v1", "Pod") == PODS
    await kube_api.stop()
    assert await mapper.find("v1", "Node") == NODES
    with pytest.raises(Unreachable):
        await mapper.find("apps/v1", "Deployment")
    await kube_api.start()
    assert await mapper.find("apps/v1", "Deployment") == DEPLOYMENTS


async def test_a_kind_that_comes_later_is_found_then(kube_api: FakeKubeApi, kube_client: KubeClient) -> None:
    mapper = ResourceMapper(kube_client)
    with pytest.raises(NotFound):
        await mapper.find("argoproj.io/v1alpha1", "Rollout")
    kube_api.install(ROLLOUTS, has_scale=True)
    assert await mapper.find("argoproj.io/v1alpha1", "Rollout") == ROLLOUTS


@pytest.mark.parametrize(
    "api_version, kind",
    [
        *[("apps/v1", "Deploymint"), ("apps/v2", "Deployment"), ("v1", "Deployment"), ("apps/v1", "Scale")],
        *[("", "Pod"), ("a/b/c", "Pod"), ("../v1", "Pod"), ("apps/v1", ""), ("apps/v1?x=", "Deployment")],
    ],
)
async def test_what_is_not_served_is_not_found(kube_client: KubeClient, api_version: str, kind: str) -> None:
    with pytest.raises(NotFound):
        await ResourceMapper(kube_client).find(api_version, kind)


@pytest.mark.parametrize("body", [b"{}", b'{"resources": 5}', b'{"resources": [{"name": "pods"}]}'])
async def test_an_answer_that_is_no_discovery_is_told_as_such(servers: FakeServers, body: bytes) -> None:
    server = await servers.open(answer_with(body))
    async with ApiClient(Configuration(host=server.url)) as api:
        with pytest.raises(BadDocument, match="GET /api/v1: no list of resources"):
            await ResourceMapper(KubeClient(api)).find("v1", "Pod")
