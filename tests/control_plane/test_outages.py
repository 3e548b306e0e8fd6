"""What stops, and what does not, when replicas, the API server, its memory or the pages we read are away."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from adapter.errors import NotFound
from adapter.kube.client import Json, PatchType
from adapter.kube.resource import API_SERVICES, CONFIG_MAPS, DEPLOYMENTS, NAMESPACES
from tests.control_plane.asking import (
    ask_number,
    cannot_read,
    find_leader,
    list_failed_reads,
    open_direct_client,
    wait_for_number,
)
from tests.control_plane.cluster import Cluster
from tests.control_plane.control_plane import Part
from tests.control_plane.fake_gateway import open_fake_gateway
from tests.control_plane.gateway_models import make_gateway_model, to_rate_per_s
from tests.control_plane.kubectl import run_kubectl
from tests.control_plane.pods import make_deployment
from tests.control_plane.product import API_SERVICE, Product, open_product
from tests.control_plane.sampling import sampling
from tests.control_plane.workloads import MODEL, PREFIX, Workload, get_condition, told_of
from tests.deploy.chart import Helm

GONE_S = 120.0
"""A namespace that waited for us is gone within so long after our return [s]."""


async def begin(product: Product, workload: Workload, replicas: int) -> None:
    """Start `product` with `workload` pinned, and let the HPA follow once there is something to follow."""
    pinned = {**MODEL, f"{PREFIX}override": f"pin={replicas}"}
    cluster = workload.cluster
    await cluster.create(DEPLOYMENTS, workload.namespace, make_deployment(workload.name, 1, annotations=pinned))
    await product.start()
    await workload.wait_for_planned(replicas)
    await wait_for_number(cluster.client, workload, replicas)
    await workload.follow()
    await workload.wait_for_replicas(replicas)


async def test_one_replica_down_shows_nowhere_and_all_down_hold_every_count(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    llama = Workload(cluster, await cluster.create_namespace("chat"))
    async with open_product(cluster, helm, tmp_path, replicas=2) as product:
        with told_of(product):
            await begin(product, llama, 4)
            await one_goes_and_comes_back(product, llama, tmp_path)
            await all_go_and_come_back(product, llama)


async def one_goes_and_comes_back(product: Product, llama: Workload, folder: Path) -> None:
    cluster, leader = product.cluster, await find_leader(product)
    (standby,) = [adapter for adapter in product.adapters if adapter is not leader]
    clients = [await open_direct_client(cluster, adapter, folder) for adapter in product.adapters]
    for client in clients:
        await wait_for_number(client, llama, 4)
    async with sampling(told=partial(ask_number, cluster.client, llama), asked=llama.read_replicas) as samples:
        standby.process.kill()
        await samples["told"].wait_for_looks(20)
        standby.process.start()
        await product.wait_ready()
        await llama.pin(5)
        await llama.wait_for_replicas(5)
        await samples["told"].wait_for_looks(10)
    assert samples["told"].numbers == ["4", "5"]
    assert samples["told"].failed_looks <= 1, samples["told"].failures  # what it had in hand when it was killed
    assert samples["asked"].seen == ["4", "5"]
    for client in clients:
        await wait_for_number(client, llama, 5)
    assert len(await list_failed_reads(llama)) <= 1


async def all_go_and_come_back(product: Product, llama: Workload) -> None:
    cluster, doomed = product.cluster, await product.cluster.create_namespace("doomed")
    await cluster.create(CONFIG_MAPS, doomed, {"metadata": {"name": "content"}})
    for adapter in product.adapters:
        adapter.process.kill()
    await llama.pin(2)
    await llama.wait_for_autoscaler(cannot_read(), what="says that it cannot read the number")
    await look_at_once(cluster)
    await product.wait_available("False")
    await cluster.client.delete(NAMESPACES, None, doomed)
    await cluster.wait_for(NAMESPACES, None, doomed, waits_for_discovery, what="the namespace says what it waits for")
    await see_that_discovery_works(cluster)
    assert await llama.read_replicas() == 5

    for adapter in product.adapters:
        adapter.process.start()
    await product.wait_ready()
    await product.wait_available()
    await cluster.wait_until(
        partial(exists, cluster, doomed), lambda found: not found, what="the namespace is gone", timeout_s=GONE_S
    )
    await llama.wait_for_replicas(2)


async def look_at_once(cluster: Cluster) -> None:
    """Let the API server look whether we are available, which it does at every change, and else every half minute."""
    now = {"metadata": {"annotations": {"looked": "now"}}}
    await cluster.client.patch(API_SERVICES, None, API_SERVICE, now, kind=PatchType.MERGE)


def waits_for_discovery(namespace: Json) -> bool:
    return get_condition(namespace["status"], "NamespaceDeletionDiscoveryFailure").get("status") == "True"


async def exists(cluster: Cluster, namespace: str) -> bool:
    try:
        await cluster.client.get(NAMESPACES, None, namespace)
    except NotFound:
        return False
    return True


async def see_that_discovery_works(cluster: Cluster) -> None:
    found = await run_kubectl(cluster.control_plane, "api-resources")
    assert found.status == 0, found.errors
    assert "deployments" in found.output


async def test_what_is_too_old_is_no_number_any_more_and_the_hpa_shows_why(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    llama = Workload(cluster, await cluster.create_namespace("chat"))
    await llama.create(1)
    async with open_fake_gateway() as gateway:
        gateway.set_rate(llama.namespace, "chat", to_rate_per_s(3))
        model = make_gateway_model(llama.namespace, gateway.url)
        values = {
            "config": {"models": [model], "publishing": {"max_decision_age": "5s"}, "decision": {"stale_after": "2s"}}
        }
        async with open_product(cluster, helm, tmp_path, values=values) as product:
            with told_of(product):
                await product.start()
                await llama.wait_for_replicas(3)

                gateway.hide()
                limit = "the limit is 5 s"
                found = await llama.wait_for_autoscaler(cannot_read(limit), what="shows our message")
                assert "the decision about 'llama' is" in get_condition(found["status"], "ScalingActive")["message"]
                await cluster.wait_until(
                    partial(list_failed_reads, llama),
                    lambda notes: any(limit in note for note in notes),
                    what="an event tells our message",
                )
                await llama.wait_for_condition("Fresh", "False")
                assert await llama.read_replicas() == 3
                await product.wait_available()

                gateway.set_rate(llama.namespace, "chat", to_rate_per_s(4))
                gateway.show()
                await llama.wait_for_replicas(4)
                await a_frozen_replica_moves_nothing(product, llama)


async def a_frozen_replica_moves_nothing(product: Product, llama: Workload) -> None:
    """Freeze the only replica for longer than a number may be old."""
    cluster, (adapter,) = product.cluster, product.adapters
    async with sampling(asked=llama.read_replicas) as samples:
        adapter.process.pause()
        await asyncio.sleep(6.0)
        adapter.process.resume()
        await wait_for_number(cluster.client, llama, 4)
        await samples["asked"].wait_for_looks(20)
    assert samples["asked"].seen == ["4"]


async def test_an_api_server_that_restarts_and_a_frozen_etcd_move_no_number(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    llama = Workload(cluster, await cluster.create_namespace("chat"))
    values = {"config": {"publishing": {"max_decision_age": "5m"}}}
    async with open_product(cluster, helm, tmp_path, replicas=2, values=values) as product:
        with told_of(product):
            await begin(product, llama, 4)
            clients = [await open_direct_client(cluster, adapter, tmp_path) for adapter in product.adapters]
            looks = {f"replica_{at}": partial(ask_number, client, llama) for at, client in enumerate(clients)}
            async with sampling(**looks) as samples:
                await cluster.control_plane.restart(Part.API_SERVER)
                assert await llama.read_replicas() == 4
                await product.wait_available()
                await llama.pin(5)
                await llama.wait_for_replicas(5)
                for sample in samples.values():  # each of them has caught up
                    await sample.wait_for("5")

                etcd = cluster.control_plane.get_process(Part.ETCD)
                etcd.pause()
                await asyncio.sleep(10.0)  # longer than a leader may be unable to renew its lease
                etcd.resume()
                await cluster.wait_until(partial(try_to_pin, llama, 6), bool, what="the API server writes again")
                await llama.wait_for_replicas(6)
                for sample in samples.values():
                    await sample.wait_for("6")
            for sample in samples.values():
                assert sample.numbers == ["4", "5", "6"]
                assert all("cut off from the API server" in failure for failure in sample.failures)
            await cluster.wait_until(partial(find_leader, product), bool, what="somebody leads")


async def try_to_pin(workload: Workload, replicas: int) -> bool:
    """Pin a workload; Unreachable while nothing can be written."""
    await workload.pin(replicas)
    return True
