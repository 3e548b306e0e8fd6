"""Places for pods: a quota, a full cluster, nodes that come late, and pods that a rolling update makes for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapter.clock import ScaledClock
from adapter.kube.client import Json
from adapter.kube.resource import RESOURCE_QUOTAS
from tests.control_plane.cluster import Cluster
from tests.control_plane.fake_gateway import FakeGateway, open_fake_gateway
from tests.control_plane.fake_kubelet import FakeKubelet, open_kubelet
from tests.control_plane.fake_node_autoscaler import FakeNodeAutoscaler
from tests.control_plane.fake_nodes import FakeNode
from tests.control_plane.gateway_models import make_gateway_model, to_rate_per_s
from tests.control_plane.pods import GPU, make_deployment
from tests.control_plane.product import Product, open_product
from tests.control_plane.workloads import PREFIX, Workload, told_of
from tests.deploy.chart import Helm

L40S, A100 = "NVIDIA-L40S", "NVIDIA-A100-SXM4-80GB"


@dataclass(frozen=True, slots=True)
class Scene:
    """One LLM with a cheap and a dear variant, and how much is asked of it.

    The dear variant needs two devices a replica.
    """

    cheap: Workload
    dear: Workload
    kubelet: FakeKubelet
    gateway: FakeGateway
    product: Product

    def ask_for(self, replicas: int) -> None:
        """Let so much be asked that so many replicas are needed."""
        self.gateway.set_rate(self.cheap.namespace, "chat", to_rate_per_s(replicas))


async def open_scene(
    stack: AsyncExitStack,
    cluster: Cluster,
    helm: Helm,
    folder: Path,
    *,
    nodes: list[FakeNode],
    replicas: int,
    unschedulable_after: str = "5m",
) -> Scene:
    """Return a scene in which `replicas` are needed, closed with `stack`; its product is not started yet."""
    namespace = await cluster.create_namespace("chat")
    gateway = await stack.enter_async_context(open_fake_gateway())
    kubelet = await stack.enter_async_context(open_kubelet(FakeKubelet(cluster.client), nodes))
    cheap, dear = Workload(cluster, namespace, "cheap"), Workload(cluster, namespace, "dear")
    for workload, product_name, devices in ((cheap, L40S, 1), (dear, A100, 2)):
        annotations = {f"{PREFIX}model": "chat"}
        await workload.create_alone(
            make_deployment(
                workload.name, accelerators=devices, product=product_name, annotations=annotations, grace_s=1
            )
        )
        await workload.follow()
    model = make_gateway_model(namespace, gateway.url, ("cheap", "dear"))
    values = {"config": {"models": [model], "discovery": {"unschedulable_after": unschedulable_after}}}
    product = await stack.enter_async_context(open_product(cluster, helm, folder, values=values))
    stack.enter_context(told_of(product))
    scene = Scene(cheap, dear, kubelet, gateway, product)
    scene.ask_for(replicas)
    return scene


async def test_pods_that_find_no_place_and_a_quota_are_planned_around(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    nodes = [FakeNode("small", L40S, 3), FakeNode("large", A100, 8)]
    async with AsyncExitStack() as stack:
        scene = await open_scene(stack, cluster, helm, tmp_path, nodes=nodes, replicas=5, unschedulable_after="10s")
        cheap, dear = scene.cheap, scene.dear
        await scene.product.start()
        # Four of the cheap one are wanted and three find a place, which nobody knew before.
        await cheap.wait_for_replicas(4)
        await dear.wait_for_ready(2)
        await cheap.wait_for_ready(3)
        await cheap.wait_for_event("Unschedulable", f"Insufficient {GPU}")
        status = await dear.wait_for_condition("WithinLimits", "True", "scheduler")
        assert status["plannedReplicas"] == 2

        # A quota of devices, over both types: 3 + 2 * 2 are used, and no more is granted than 9.
        quota = {"metadata": {"name": "devices"}, "spec": {"hard": {f"requests.{GPU}": "9"}}}
        await cluster.create(RESOURCE_QUOTAS, cheap.namespace, quota)
        scene.ask_for(7)
        await dear.wait_for_ready(3)
        await dear.wait_for_condition("WithinLimits", "False", "quota")
        await dear.wait_for_event("Shortage", "quota")
        assert await cheap.read_replicas() == 3


async def test_a_plan_is_reached_with_nodes_that_come_late_and_kept_through_a_rolling_update(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    nodes = [FakeNode("small", L40S, 3), FakeNode("large", A100, 8)]
    async with AsyncExitStack() as stack:
        scene = await open_scene(stack, cluster, helm, tmp_path, nodes=nodes, replicas=6)
        clock, kinds = ScaledClock.starting_now(), [FakeNode("added", L40S, 4)]
        autoscaler = FakeNodeAutoscaler(cluster.client, scene.kubelet, clock, kinds, delay_s=60.0)
        await stack.enter_async_context(in_background(autoscaler.run()))
        watching = await stack.enter_async_context(watch_replicas(scene.dear))
        await scene.product.start()
        await scene.cheap.wait_for(lambda it: it["status"].get("readyReplicas") == 3, what="fills the nodes there are")
        assert autoscaler.added == []
        await scene.cheap.wait_for_ready(5, timeout_s=240.0)
        assert autoscaler.added == ["added-1"]
        assert watching == {1}  # nothing was planned around

        scene.kubelet.startup_s = 1.0
        watching = await stack.enter_async_context(watch_replicas(scene.cheap))
        surge = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "40%", "maxUnavailable": 0}}
        template = {"metadata": {"annotations": {"engine": "new"}}}
        await scene.cheap.patch({"spec": {"strategy": surge, "template": template}})
        await scene.cheap.wait_for(lambda it: it["status"]["replicas"] > 5, what="has more pods than it asks for")
        await scene.cheap.wait_for(lambda it: is_updated(it, 5), what="is updated")
        assert watching == {5}
        assert autoscaler.added == ["added-1"]


def is_updated(found: Json, replicas: int) -> bool:
    """Return whether all pods of a Deployment are of its newest template, and there are no others."""
    status = found["status"]
    counts = {status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas")}
    return counts == {replicas} and status["observedGeneration"] == found["metadata"]["generation"]


@asynccontextmanager
async def watch_replicas(workload: Workload) -> AsyncIterator[set[int]]:
    """Yield all numbers of replicas that `workload` asks for from now on."""
    seen = {await workload.read_replicas()}

    async def watch() -> None:
        while True:
            seen.add(await workload.read_replicas())
            await asyncio.sleep(0.1)

    async with in_background(watch()):
        yield seen


@asynccontextmanager
async def in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do `work` meanwhile, and raise whatever broke it."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
