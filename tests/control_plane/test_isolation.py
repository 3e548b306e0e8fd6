"""A replica that is cut off from the API server: it may not know the newest number, so it gives none."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from tests.control_plane.asking import open_direct_client, wait_for_number, wait_for_refusal_to_tell
from tests.control_plane.cluster import Cluster
from tests.control_plane.fake_service import FakeService, open_fake_service
from tests.control_plane.product import AdapterReplica, Product, open_product
from tests.control_plane.workloads import Workload, told_of
from tests.deploy.chart import Helm


async def test_a_replica_that_is_cut_off_gives_no_number_and_what_it_knew_moves_nothing(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    llama = Workload(cluster, await cluster.create_namespace("chat"))
    await llama.create(2)
    await llama.pin(2)
    values = {"config": {"publishing": {"max_decision_age": "10m"}}}
    async with (
        open_product(cluster, helm, tmp_path, replicas=2, values=values) as product,
        open_fake_service([_get_api_address(product)]) as road,
    ):
        leader, cut = product.adapters
        _lead_over(road, cut, product, tmp_path)
        with told_of(product):
            leader.process.start()
            await asyncio.to_thread(leader.process.wait_until_ready)
            await llama.wait_for_planned(2)
            await product.start()
            direct = await open_direct_client(cluster, cut, tmp_path)
            await wait_for_number(direct, llama, 2)

            road.set_backends([])
            road.drop_connections()
            await llama.pin(8)
            await llama.wait_for_replicas(8)
            await cluster.wait_until(cut.is_ready, lambda ready: not ready, what="the replica is not ready any more")
            await wait_for_refusal_to_tell(direct, llama, "cut off from the API server")
            await asyncio.sleep(3.0)
            assert await llama.read_replicas() == 8

            road.set_backends([_get_api_address(product)])
            await cluster.wait_until(cut.is_ready, bool, what="the replica is ready again")
            await wait_for_number(direct, llama, 8)


def _get_api_address(product: Product) -> tuple[str, int]:
    url = urlsplit(product.cluster.control_plane.url)
    assert url.hostname is not None
    assert url.port is not None
    return url.hostname, url.port


def _lead_over(road: FakeService, adapter: AdapterReplica, product: Product, folder: Path) -> None:
    """Let `adapter` reach the API server by way of `road` alone."""
    credentials = yaml.safe_load(product.kubeconfig.read_text(encoding="utf-8"))
    credentials["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{road.port}"
    kubeconfig = folder / "by-road.kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(credentials), encoding="utf-8")
    file = folder / f"{product.namespace}-{adapter.name}.yaml"
    configuration = yaml.safe_load(file.read_text(encoding="utf-8"))
    configuration["kubernetes"]["kubeconfig"] = str(kubeconfig)
    file.write_text(yaml.safe_dump(configuration), encoding="utf-8")
