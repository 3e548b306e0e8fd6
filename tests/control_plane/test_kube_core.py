"""Watches, lease, scale, events, discovery of kinds against a real API server: what no fake can prove."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from adapter.clock import ScaledClock
from adapter.errors import Conflict, Denied, Expired, NotFound
from adapter.kube import reflector
from adapter.kube.client import Json, KubeClient
from adapter.kube.events import QUIET_S, EventWriter, ObjectReference
from adapter.kube.lease import LeaderElector
from adapter.kube.mapper import ResourceMapper
from adapter.kube.reflector import ObjectCache
from adapter.kube.resource import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    EVENTS,
    HORIZONTAL_POD_AUTOSCALERS,
    LEASES,
    NAMESPACES,
    NODES,
    PODS,
    REPLICA_SETS,
    RESOURCE_QUOTAS,
    STATEFUL_SETS,
    Resource,
)
from adapter.kube.scale import patch_scale, read_scale
from adapter.kube.wire_times import parse_time_s
from tests.builders.elected_replicas import SeverableClient
from tests.builders.followed_objects import list_names, running
from tests.builders.stepped_clock import until
from tests.control_plane.cluster import Cluster
from tests.control_plane.control_plane import Part
from tests.control_plane.pods import make_deployment
from tests.control_plane.served_adapter import ShiftedClock
from tests.control_plane.sweeping import CUSTOM_RESOURCE_DEFINITIONS
from tests.control_plane.waiting import wait_until

FAST = 10.0
"""Clocks that run so much faster make minutes of waiting short; the API server lives at its own pace."""

LEASE_S, RENEW_S, RETRY_S = 9.0, 6.0, 1.0
"""Shorter than usual, so that a machine that stands still for some seconds does not break the promise for us."""

ENGINES = Resource("test.example", "v1", "engines", "Engine")


def make_crd(resource: Resource) -> Json:
    scale = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": resource.version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    version["subresources"] = {"status": {}, "scale": {**scale, "labelSelectorPath": ".status.selector"}}
    names = {"plural": resource.plural, "kind": resource.kind, "singular": resource.kind.lower()}
    return {
        "metadata": {"name": f"{resource.plural}.{resource.group}"},
        "spec": {"group": resource.group, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def make_config(name: str, **data: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"ours": "yes"}},
        "data": data,
    }


@pytest.fixture
async def namespace(cluster: Cluster) -> str:
    return await cluster.create_namespace()


async def test_a_cache_follows_what_happens_and_an_api_server_that_goes_away(
    cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reflector, "PAGE_OBJECTS", 3)
    clock, client = ScaledClock.starting_now(), cluster.client
    for number in range(10):
        await client.create(CONFIG_MAPS, namespace, make_config(f"c{number}"))
    cache = ObjectCache(client, CONFIG_MAPS, namespace, clock=clock, query={"labelSelector": "ours"})
    async with running(cache):
        await cache.wait_synced(120.0)
        assert list_names(cache) == [f"c{number}" for number in range(10)]
        first = cache.get(namespace, "c0")
        assert first is not None
        assert (first["apiVersion"], first["kind"]) == ("v1", "ConfigMap")
        await client.delete(CONFIG_MAPS, namespace, "c1")
        await client.patch(CONFIG_MAPS, namespace, "c2", {"data": {"a": "1"}})
        await client.create(CONFIG_MAPS, namespace, make_config("d"))
        await until(lambda: "d" in list_names(cache) and "c1" not in list_names(cache))
        changed = cache.get(namespace, "c2")
        assert changed is not None
        assert (changed["data"], cache.get(namespace, "c1")) == ({"a": "1"}, None)

        cluster.control_plane.get_process(Part.API_SERVER).kill()
        await until(lambda: cache.behind_since_s is not None)
        assert len(cache.list()) == 10
        await cluster.control_plane.bring_up(Part.API_SERVER)
        await client.delete(CONFIG_MAPS, namespace, "d")
        await until(lambda: cache.behind_since_s is None and "d" not in list_names(cache))
        assert cache.failure is None


async def test_a_watch_of_a_server_that_stands_still_is_noticed(cluster: Cluster, namespace: str) -> None:
    """Nothing is closed, no packet comes: as when a machine vanishes from the network."""
    clock = ScaledClock.starting_now(FAST)
    process = cluster.control_plane.get_process(Part.API_SERVER)
    async with running(ObjectCache(cluster.client, CONFIG_MAPS, namespace, clock=clock)) as cache:
        await cache.wait_synced(120.0 * FAST)
        await cluster.client.create(CONFIG_MAPS, namespace, make_config("heard"))
        await until(lambda: "heard" in list_names(cache))  # so there is a watch
        before_s = clock.now_s()
        process.pause()
        try:
            await until(lambda: cache.behind_since_s is not None)
            noticed_s = clock.now_s()
            assert cache.behind_since_s is not None
            # It is dated back to when something was heard last, which is as long ago as the silence that tells it.
            assert before_s - reflector.SILENCE_S <= cache.behind_since_s <= noticed_s - reflector.SILENCE_S
        finally:
            process.resume()
        await cluster.client.create(CONFIG_MAPS, namespace, make_config("a"))
        await until(lambda: cache.behind_since_s is None and "a" in list_names(cache))


async def test_the_server_ends_a_watch_when_asked_to_and_says_before_how_far_it_is(
    cluster: Cluster, namespace: str
) -> None:
    """Though nothing happened here: so the next watch does not begin at a version that is long forgotten."""
    version = (await cluster.client.list(CONFIG_MAPS, namespace))["metadata"]["resourceVersion"]
    elsewhere = await cluster.client.create(CONFIG_MAPS, await cluster.create_namespace(), make_config("a"))
    query = {"resourceVersion": version, "timeoutSeconds": "4"}

    async def watch_to_the_end() -> int:
        async with aclosing(cluster.client.watch(CONFIG_MAPS, namespace, query=query)) as events:
            seen = [event async for event in events if event["type"] == "BOOKMARK"]
        return max((int(event["object"]["metadata"]["resourceVersion"]) for event in seen), default=0)

    newest = int(elsewhere["metadata"]["resourceVersion"])
    await cluster.wait_until(watch_to_the_end, lambda told: told >= newest, what="a bookmark before the end")


async def test_a_version_from_before_the_server_started_is_expired(cluster: Cluster, namespace: str) -> None:
    assert await watch_until_refused(cluster.client, namespace, "1") == 410


async def watch_until_refused(client: KubeClient, namespace: str, version: str) -> int:
    """Return the code with which a watch from `version` on is refused, in its answer or in its stream."""
    try:
        async with aclosing(client.watch(CONFIG_MAPS, namespace, query={"resourceVersion": version})) as events:
            async for event in events:
                if event["type"] == "ERROR":
                    return int(event["object"]["code"])
    except Expired:
        return 410
    return 0


async def test_an_optional_kind_that_comes_later_is_found(cluster: Cluster, namespace: str) -> None:
    clock = ScaledClock.starting_now(FAST)
    async with running(ObjectCache(cluster.client, ENGINES, clock=clock, is_optional=True)) as cache:
        await cache.wait_synced(120.0 * FAST)
        assert (cache.list(), cache.failure) == ((), None)
        await cluster.create(CUSTOM_RESOURCE_DEFINITIONS, None, make_crd(ENGINES))
        body = {"metadata": {"name": "e"}, "spec": {"replicas": 2}}
        await cluster.wait_until(
            lambda: cluster.create(ENGINES, namespace, body), lambda it: it, what="the new kind is served"
        )
        await until(lambda: list_names(cache) == ["e"])
        await cluster.delete(CUSTOM_RESOURCE_DEFINITIONS, None, f"{ENGINES.plural}.{ENGINES.group}")
        await until(lambda: cache.list() == ())
        assert cache.failure is None


async def test_a_missing_right_is_named(cluster: Cluster, namespace: str) -> None:
    client = await cluster.open_client(await cluster.write_service_account_kubeconfig(namespace, "nobody"))
    async with running(ObjectCache(client, DEPLOYMENTS, namespace, clock=ScaledClock.starting_now())) as cache:
        await until(lambda: cache.failure is not None)
        assert f'the right to list deployments in API group "apps" in namespace {namespace} is missing' in str(
            cache.failure
        )
    with pytest.raises(Denied, match='cannot patch resource "deployments/scale" in API group "apps"'):
        await patch_scale(client, DEPLOYMENTS, namespace, "a", 1)


async def test_one_leads_until_it_is_killed_then_another_within_fifteen_seconds(
    cluster: Cluster, namespace: str
) -> None:
    clock = ScaledClock.starting_now()  # real seconds: a busy machine must not make a lease lapse
    electors: list[LeaderElector] = []
    leads: list[str] = []

    def stand(name: str, client: KubeClient) -> asyncio.Task[None]:
        times = {"lease_s": LEASE_S, "renew_s": RENEW_S, "retry_s": RETRY_S}
        elector = LeaderElector(client, clock, namespace=namespace, name="leader", identity=name, **times)
        electors.append(elector)

        async def lead() -> None:
            leads.append(name)
            await asyncio.Event().wait()

        return asyncio.create_task(elector.run(lead))

    doomed = SeverableClient(cluster.client._api)
    first = stand("first", doomed)
    await until(lambda: electors[0].is_leader)
    second = stand("second", cluster.client)
    await until(lambda: electors[1].holder == "first")
    doomed.is_severed = True  # so that it cannot give the lease up
    killed_s = clock.now_s()
    first.cancel()
    await asyncio.wait({first})
    renewed_s = parse_time_s((await cluster.client.get(LEASES, namespace, "leader"))["spec"]["renewTime"])
    await until(lambda: leads == ["first", "second"])
    lease = (await cluster.client.get(LEASES, namespace, "leader"))["spec"]
    assert (lease["holderIdentity"], lease["leaseTransitions"], lease["leaseDurationSeconds"]) == ("second", 1, LEASE_S)
    took_over_s = parse_time_s(lease["acquireTime"])
    assert took_over_s - renewed_s >= LEASE_S
    assert took_over_s - killed_s < 15.0

    third = stand("third", cluster.client)
    await until(lambda: electors[2].holder == "second")
    second.cancel()
    await asyncio.wait({second})
    emptied = (await cluster.client.get(LEASES, namespace, "leader"))["spec"].get("holderIdentity")
    assert emptied in ("", "third")  # who was asked to end gave it up, and the other may be as quick as we are
    await until(lambda: electors[2].is_leader)
    await cluster.client.delete(LEASES, namespace, "leader")
    await wait_until(
        lambda: cluster.client.get(LEASES, namespace, "leader"),
        lambda it: it["spec"]["holderIdentity"] == "third",
        what="the lease is made anew",
    )
    await until(lambda: electors[2].is_leader)
    third.cancel()
    await asyncio.wait({third})


async def test_the_scale_of_a_deployment_is_read_and_patched(cluster: Cluster, namespace: str) -> None:
    await cluster.create(DEPLOYMENTS, namespace, make_deployment("a", replicas=2))
    client = cluster.client
    scale = await wait_until(
        lambda: read_scale(client, DEPLOYMENTS, namespace, "a"), lambda it: it.status_replicas == 2, what="two pods"
    )
    assert (scale.spec_replicas, scale.selector) == (2, "app=a")
    assert (await patch_scale(client, DEPLOYMENTS, namespace, "a", 0)).spec_replicas == 0
    with pytest.raises(Conflict):
        await patch_scale(client, DEPLOYMENTS, namespace, "a", 5, seen=scale)
    await wait_until(
        lambda: read_scale(client, DEPLOYMENTS, namespace, "a"), lambda it: it.status_replicas == 0, what="no pods"
    )

    async def wake() -> int:
        seen = await read_scale(client, DEPLOYMENTS, namespace, "a")
        try:
            return (await patch_scale(client, DEPLOYMENTS, namespace, "a", 1, seen=seen)).spec_replicas
        except Conflict:  # the controller wrote a status in between
            return 0

    assert await wait_until(wake, lambda it: it == 1, what="woken") == 1
    with pytest.raises(NotFound):
        await read_scale(client, DEPLOYMENTS, namespace, "nobody")
    with pytest.raises(NotFound):
        await read_scale(client, CONFIG_MAPS, namespace, "kube-root-ca.crt")


async def test_the_scale_of_a_custom_kind_is_found_by_discovery(cluster: Cluster, namespace: str) -> None:
    mapper, client = ResourceMapper(cluster.client), cluster.client
    with pytest.raises(NotFound):
        await mapper.find(ENGINES.api_version, ENGINES.kind)
    await cluster.create(CUSTOM_RESOURCE_DEFINITIONS, None, make_crd(ENGINES))
    found = await wait_until(
        lambda: mapper.find(ENGINES.api_version, ENGINES.kind), lambda it: it, what="the new kind is served"
    )
    assert found == ENGINES
    body = {"metadata": {"name": "e"}, "spec": {"replicas": 2}}
    await cluster.wait_until(
        lambda: cluster.create(ENGINES, namespace, body), lambda it: it, what="the new kind takes objects"
    )
    await client.patch(ENGINES, namespace, "e", {"status": {"replicas": 2, "selector": "x=y"}}, subresource="status")
    scale = await read_scale(client, found, namespace, "e")
    assert (scale.spec_replicas, scale.status_replicas, scale.selector) == (2, 2, "x=y")
    assert (await patch_scale(client, found, namespace, "e", 0, seen=scale)).spec_replicas == 0
    assert (await patch_scale(client, found, namespace, "e", 3)).spec_replicas == 3


async def test_discovery_finds_the_built_in_kinds(cluster: Cluster) -> None:
    mapper = ResourceMapper(cluster.client)
    for resource in (
        *(PODS, NODES, NAMESPACES, CONFIG_MAPS, RESOURCE_QUOTAS, DEPLOYMENTS, STATEFUL_SETS, REPLICA_SETS),
        *(EVENTS, LEASES, ENDPOINT_SLICES, HORIZONTAL_POD_AUTOSCALERS),
    ):
        assert await mapper.find(resource.api_version, resource.kind) == resource


async def test_events_are_taken_counted_and_seen_on_the_object(cluster: Cluster, namespace: str) -> None:
    clock = ShiftedClock()
    made = await cluster.create(DEPLOYMENTS, namespace, make_deployment("a"))
    about = ObjectReference("apps/v1", "Deployment", namespace, "a", made["metadata"]["uid"])
    writer = EventWriter(cluster.client, clock, instance="pod-a")
    await writer.write(about, "NotFollowed", "ü" * 2000, is_warning=True, action="Publish")
    await write_twice(writer, clock, about)
    seen = await cluster.client.list(
        Resource("", "v1", "events", "Event"), namespace, query={"fieldSelector": "involvedObject.name=a"}
    )
    found = {item["message"][0]: item for item in seen["items"]}
    assert found["ü"]["type"] == "Warning"
    assert found["t"]["reportingComponent"] == "variant-autoscaler.io/controller"
    assert found["t"]["series"]["count"] == 2
    assert found["t"]["involvedObject"]["uid"] == made["metadata"]["uid"]

    await cluster.create(NODES, None, {"metadata": {"name": "event-node"}})
    node = ObjectReference("v1", "Node", None, "event-node")
    await writer.write(node, "NoRoom", "no room", action="Plan")
    listed = await cluster.client.list(EVENTS, "default", query={"fieldSelector": "reason=NoRoom"})
    assert [item["regarding"]["name"] for item in listed["items"]] == ["event-node"]


async def write_twice(writer: EventWriter, clock: ShiftedClock, about: ObjectReference) -> None:
    await writer.write(about, "Planned", "two replicas", action="Publish")
    clock.shift_s += QUIET_S
    await writer.write(about, "Planned", "two replicas", action="Publish")
