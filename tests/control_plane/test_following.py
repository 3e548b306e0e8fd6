"""The whole way of a number: decided, told, read by the real HPA through the real API server, and followed exactly."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.control_plane.asking import wait_for_number
from tests.control_plane.autoscalers import make_autoscaler
from tests.control_plane.cluster import Cluster
from tests.control_plane.product import open_product
from tests.control_plane.workloads import Workload, has_decided_upon, told_of
from tests.deploy.chart import Helm


async def test_pinned_numbers_are_followed_exactly(cluster: Cluster, helm: Helm, tmp_path: Path) -> None:
    llama = Workload(cluster, await cluster.create_namespace("chat"))
    await llama.create()
    async with open_product(cluster, helm, tmp_path) as product:
        with told_of(product):
            await product.start()
            for replicas in (1, 4, 2, 1, 9, 10, 11, 12, 11):
                await llama.pin(replicas)
                await llama.wait_for_replicas(replicas)
            status = await llama.wait_for_condition("Following", "True")
            assert status["obstacles"] == []


async def test_the_default_tolerance_is_told_and_loses_a_step_until_it_is_bridged(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    llama = Workload(cluster, await cluster.create_namespace("chat"))
    await llama.create(10, autoscaler=make_autoscaler("llama", tolerance=None))
    await llama.pin(10)
    async with open_product(cluster, helm, tmp_path) as product:
        with told_of(product):
            await product.start()
            status = await llama.wait_for_condition("Following", "False", "steps within its tolerance are ignored")
            (obstacle,) = status["obstacles"]
            assert obstacle["code"] == "ToleranceAboveZero"
            assert ("HPAConfigurableTolerance" in obstacle["remedy"]) == bool(cluster.control_plane.version.gates)
            event = await llama.wait_for_event("NotFollowed", "ToleranceAboveZero")
            assert event["type"] == "Warning"
            assert obstacle["remedy"] in event["note"]

            await llama.pin(11)
            found = await llama.wait_for_autoscaler(has_decided_upon(11), what="has read 11")
            await wait_for_number(cluster.client, llama, 11)
            assert found["status"]["desiredReplicas"] == await llama.read_replicas() == 10

            await llama.patch_autoscaler(yaml.safe_load(obstacle["remedy"]))
            await llama.wait_for_replicas(11)
            await llama.wait_for_condition("Following", "True")
            default = {way: {"tolerance": None} for way in ("scaleUp", "scaleDown")}
            await llama.patch_autoscaler({"spec": {"behavior": default}})

    bridging = {"actuation": {"bridgeTolerance": True}}
    async with open_product(cluster, helm, tmp_path, values=bridging, namespace=product.namespace) as product:
        with told_of(product):
            await product.start()
            for replicas in (12, 11, 10, 9):
                await llama.pin(replicas)
                await llama.wait_for_replicas(replicas)
            await llama.wait_for_condition("Following", "True")
