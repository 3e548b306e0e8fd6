"""What our own hand does where it was asked to: replicas that nobody else sets, and which pods go first."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp

from adapter.clock import ScaledClock
from adapter.kube.client import Json
from adapter.kube.resource import PODS
from tests.control_plane.cluster import Cluster
from tests.control_plane.engines import ENGINE, run_engines
from tests.control_plane.fake_gateway import open_fake_gateway
from tests.control_plane.fake_kubelet import FakeKubelet, open_kubelet
from tests.control_plane.fake_nodes import FakeNode
from tests.control_plane.fake_pod_life import FakePodLife
from tests.control_plane.gateway_models import make_gateway_model, to_rate_per_s
from tests.control_plane.pods import make_deployment
from tests.control_plane.product import open_product
from tests.control_plane.workloads import MODEL, Workload, told_of
from tests.deploy.chart import Helm

COST = "controller.kubernetes.io/pod-deletion-cost"


async def test_replicas_that_nobody_sets_are_set_by_us_where_we_were_asked_to(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    llama = Workload(cluster, await cluster.create_namespace("chat"))
    await llama.create_alone(make_deployment("llama", annotations=MODEL))
    async with open_fake_gateway() as gateway:
        gateway.set_rate(llama.namespace, "chat", to_rate_per_s(3))
        model = make_gateway_model(llama.namespace, gateway.url, actuation="scale")
        values = {"actuation": {"scale": True}, "config": {"models": [model]}}
        async with open_product(cluster, helm, tmp_path, values=values) as product:
            with told_of(product):
                await product.start()
                await llama.wait_for_replicas(3)
                await llama.wait_for_condition("Following", "True", "we set the replicas ourselves")
                for replicas in (11, 10, 0, 2):
                    await llama.pin(replicas)
                    await llama.wait_for_replicas(replicas)
                await llama.pin(0)
                await llama.wait_for_replicas(0)
                await llama.pin(None)
                await llama.wait_for_replicas(3)


async def test_the_idlest_pods_go_first_where_we_may_mark_them(cluster: Cluster, helm: Helm, tmp_path: Path) -> None:
    llama = Workload(cluster, await cluster.create_namespace("chat"))
    await llama.create(3)
    await llama.pin(3)
    clock = ScaledClock.starting_now()
    kubelet = FakeKubelet(cluster.client, clock, make_server=run_engines(clock, lambda _: ENGINE))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(open_kubelet(kubelet, [FakeNode("node")]))
        values = {"actuation": {"podDeletionCost": True}}
        product = await stack.enter_async_context(open_product(cluster, helm, tmp_path, values=values))
        stack.enter_context(told_of(product))
        await llama.wait_for_ready(3)
        busiest, busy, idle = kubelet.get_ready(llama.namespace)
        group = await stack.enter_async_context(Requests())
        for pod, requests in ((busiest, 5), (busy, 1)):
            group.send(pod, requests)
        await product.start()
        await cluster.wait_until(
            lambda: read_costs(llama),
            lambda costs: costs == {busiest.name: "3", busy.name: "1", idle.name: "0"},
            what="every pod tells how busy it is",
        )
        await llama.pin(1)
        await cluster.wait_until(
            lambda: read_costs(llama), lambda costs: costs.keys() == {busiest.name}, what="the busiest pod stays"
        )


async def read_costs(workload: Workload) -> dict[str, str]:
    """Return the cost of every pod that is not about to go, by its name."""
    pods: list[Json] = (await workload.cluster.client.list(PODS, workload.namespace))["items"]
    staying = (pod["metadata"] for pod in pods if "deletionTimestamp" not in pod["metadata"])
    return {about["name"]: about.get("annotations", {}).get(COST, "") for about in staying}


class Requests:
    """Requests in progress that last longer than a test."""

    async def __aenter__(self) -> Requests:
        """Open the connections."""
        self._session = aiohttp.ClientSession()
        self._tasks: list[asyncio.Task[None]] = []
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Leave all of them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()

    def send(self, pod: FakePodLife, count: int) -> None:
        """Ask `pod` for so many long answers at once."""
        self._tasks += [asyncio.create_task(self._ask(pod)) for _ in range(count)]

    async def _ask(self, pod: FakePodLife) -> None:
        body = {"model": ENGINE.model_name, "prompt": [1] * 10, "max_tokens": 18_000, "ignore_eos": True}
        async with self._session.post(f"{pod.url}/v1/completions", json=body) as answer:
            await answer.read()
