"""The demo's LLMs in a real cluster: requests reach the pods that are ready, and what it says of itself is so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from adapter.demo.catalog import CatalogOptions, build_model
from adapter.demo.live_table import render_table
from adapter.demo.options import DemoOptions
from adapter.demo.request_log import Fate
from adapter.demo.scenarios import ScenarioName
from adapter.kube.client import Json
from adapter.kube.resource import DEPLOYMENTS, HORIZONTAL_POD_AUTOSCALERS
from optimizer.domain import PodPhase
from tests.control_plane.cluster import Cluster
from tests.control_plane.fleet_cluster import FleetCluster, FleetClusterOptions, open_fleet_cluster
from tests.control_plane.fleet_models import make_nodes, make_variant_deployment, move_model

DEMO = DemoOptions(models=("llama-8b",), scenario=ScenarioName.STEP, startup_s=1.0)


async def test_requests_reach_ready_pods_and_new_ones_join(cluster: Cluster) -> None:
    async with open_fleet_cluster(cluster, FleetClusterOptions(DEMO)) as fleet:
        playing = asyncio.create_task(fleet.play())
        await cluster.wait_until(count_finished(fleet), lambda it: it >= 5, what="five requests are answered")
        workload = next(it for it in fleet.workloads if it.variant.name == "a100")
        scale = {"spec": {"replicas": 3}}
        await cluster.client.patch(DEPLOYMENTS, fleet.namespace, workload.ref.name, scale, subresource="scale")
        await cluster.wait_until(
            look_at(fleet), lambda it: find(it, workload.ref.name)["ready"] == 3, what="three are ready"
        )
        await cluster.wait_until(
            count_finished(fleet), lambda it: it >= 60, what="requests are answered by many replicas"
        )
        playing.cancel()
        with suppress(asyncio.CancelledError):
            await playing
        served = {record.replica.rpartition("-")[0] for record in fleet.log.records if record.replica}
        assert served == {it.ref.name for it in fleet.workloads}
        assert not any(record.fate in (Fate.FAILED, Fate.REFUSED) for record in fleet.log.records)


async def test_the_fleet_counts_what_is_there(cluster: Cluster) -> None:
    async with open_fleet_cluster(cluster, FleetClusterOptions(DEMO)) as fleet:
        opening = {workload.ref: workload.opening_replicas for workload in fleet.workloads}
        assert all(count >= 1 for count in opening.values())
        assert {ref: len(fleet.get_replicas(ref, PodPhase.READY)) for ref in opening} == opening
        assert {ref: len(fleet.to_bills(ref)) for ref in opening} == opening
        found = (await cluster.client.list(HORIZONTAL_POD_AUTOSCALERS, fleet.namespace))["items"]
        assert {it["spec"]["scaleTargetRef"]["name"] for it in found} == {ref.name for ref in opening}
        lines = render_table(fleet.get_status(), None, 200)
        assert [line.split()[0] for line in lines[3:]] == [ref.name for ref in opening]
        assert set(fleet.make_configuration()) == {"accelerators", "service_classes", "models"}


def test_a_model_moves_with_all_that_names_its_namespace() -> None:
    model = move_model(build_model("llama-8b", CatalogOptions()), "elsewhere")
    assert model.key.namespace == "elsewhere"
    for variant in model.served.variants:
        assert (variant.namespace, variant.workload.namespace) == ("elsewhere", "elsewhere")
        assert variant.key() in model.engines


def test_every_variant_finds_a_node_that_its_pods_select() -> None:
    models = [build_model(name, CatalogOptions()) for name in ("llama-70b", "llama-8b")]
    products = {node.product for node in make_nodes(models)}
    for variant in (variant for model in models for variant in model.served.variants):
        template = make_variant_deployment(variant, 1)["spec"]["template"]["spec"]
        assert template["nodeSelector"]["nvidia.com/gpu.product"] in products


def find(status: Json, name: str) -> Json:
    found: Json = next(it for it in status["workloads"] if it["name"] == name)
    return found


def count_finished(fleet: FleetCluster) -> Callable[[], Awaitable[int]]:
    async def look() -> int:
        return sum(record.fate is Fate.FINISHED for record in fleet.log.records)

    return look


def look_at(fleet: FleetCluster) -> Callable[[], Awaitable[Json]]:
    async def look() -> Json:
        return fleet.get_status()

    return look
