"""The stand-in for scheduler and kubelets, against the real API server and its controllers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable

import aiohttp

from adapter.clock import ScaledClock
from adapter.kube.client import Json
from adapter.kube.resource import DEPLOYMENTS, NODES, PODS
from tests.control_plane.cluster import Cluster
from tests.control_plane.control_plane import Part
from tests.control_plane.engines import ENGINE, run_engines
from tests.control_plane.fake_kubelet import FakeKubelet, open_kubelet
from tests.control_plane.fake_node_autoscaler import FakeNodeAutoscaler, is_unschedulable
from tests.control_plane.fake_nodes import FakeNode
from tests.control_plane.fake_pod_life import FakePodLife, Stage
from tests.control_plane.pods import make_deployment

NODE = FakeNode("node", "NVIDIA-L40S", 4)


def make_kubelet(cluster: Cluster, startup_s: float = 0.0) -> FakeKubelet:
    clock = ScaledClock.starting_now()
    return FakeKubelet(cluster.client, clock, startup_s=startup_s, make_server=run_engines(clock, lambda _: ENGINE))


async def wait_for_ready(cluster: Cluster, namespace: str, name: str, replicas: int) -> Json:
    return await cluster.wait_for(
        DEPLOYMENTS,
        namespace,
        name,
        lambda it: it["status"].get("readyReplicas", 0) == it["status"].get("replicas", 0) == replicas,
        what=f"{name} has {replicas} replicas, all ready",
    )


async def scale(cluster: Cluster, namespace: str, name: str, replicas: int) -> None:
    await cluster.client.patch(DEPLOYMENTS, namespace, name, {"spec": {"replicas": replicas}}, subresource="scale")


async def list_pods(cluster: Cluster, namespace: str) -> list[Json]:
    pods: list[Json] = (await cluster.client.list(PODS, namespace))["items"]
    return pods


async def test_pods_are_bound_ready_scaled_and_gone(cluster: Cluster) -> None:
    namespace = await cluster.create_namespace()
    async with open_kubelet(FakeKubelet(cluster.client), [NODE]) as kubelet:
        await cluster.create(DEPLOYMENTS, namespace, make_deployment("model", 2, accelerators=1))
        await wait_for_ready(cluster, namespace, "model", 2)
        pods = await list_pods(cluster, namespace)
        assert {pod["spec"]["nodeName"] for pod in pods} == {"node"}
        assert {pod["status"]["phase"] for pod in pods} == {"Running"}
        addresses = {pod["status"]["podIP"] for pod in pods}
        assert len(addresses) == 2
        assert {life.address for life in kubelet.get_ready(namespace, "model")} == addresses
        for replicas in (4, 1, 0, 3):
            await scale(cluster, namespace, "model", replicas)
            await wait_for_ready(cluster, namespace, "model", replicas)
        await cluster.delete(DEPLOYMENTS, namespace, "model")
        await cluster.wait_until(lambda: list_pods(cluster, namespace), lambda it: not it, what="all pods are gone")
    assert kubelet.lives == ()


async def test_a_pod_is_ready_when_its_start_is_over_and_answers_503_before(cluster: Cluster) -> None:
    namespace = await cluster.create_namespace()
    kubelet = make_kubelet(cluster, startup_s=10.0)
    async with open_kubelet(kubelet, [NODE]), aiohttp.ClientSession() as session:
        await cluster.create(DEPLOYMENTS, namespace, make_deployment("model"))
        pods = await cluster.wait_until(
            lambda: list_pods(cluster, namespace), lambda it: it and it[0]["status"].get("podIP"), what="an address"
        )
        assert get_condition(pods[0], "Ready")["status"] == "False"
        url = f"http://{pods[0]['status']['podIP']}:8000"
        async with session.get(f"{url}/health") as response:
            assert response.status == 503
        await wait_for_ready(cluster, namespace, "model", 1)
        async with session.get(f"{url}/metrics") as response:
            assert "vllm:num_requests_running" in await response.text()
        (pod,) = await list_pods(cluster, namespace)
        assert get_condition(pod, "Ready")["status"] == "True"


async def test_a_pod_that_is_scaled_away_finishes_its_requests(cluster: Cluster) -> None:
    namespace = await cluster.create_namespace()
    kubelet = make_kubelet(cluster)
    async with open_kubelet(kubelet, [NODE]), aiohttp.ClientSession() as session:
        await cluster.create(DEPLOYMENTS, namespace, make_deployment("model"))
        await wait_for_ready(cluster, namespace, "model", 1)
        (life,) = kubelet.get_ready(namespace)
        asked = {"model": "model", "prompt": [1], "max_tokens": 1500, "ignore_eos": True}  # 15 s
        answer = asyncio.create_task(session.post(f"{life.url}/v1/completions", json=asked).__aenter__())
        await cluster.wait_until(count_running(kubelet), lambda it: it == 1, what="a request is running")
        await scale(cluster, namespace, "model", 0)
        (pod,) = await cluster.wait_until(
            lambda: list_pods(cluster, namespace), lambda it: "deletionTimestamp" in it[0]["metadata"], what="it leaves"
        )
        assert pod["status"]["podIP"] == life.address
        response = await answer
        assert (await response.json())["usage"]["completion_tokens"] == 1500
        await cluster.wait_until(lambda: list_pods(cluster, namespace), lambda it: not it, what="the pod is gone")


async def test_a_pod_that_never_drains_ends_with_its_grace(cluster: Cluster) -> None:
    namespace = await cluster.create_namespace()
    kubelet = make_kubelet(cluster)
    async with open_kubelet(kubelet, [NODE]), aiohttp.ClientSession() as session:
        await cluster.create(DEPLOYMENTS, namespace, make_deployment("model", grace_s=1))
        await wait_for_ready(cluster, namespace, "model", 1)
        (life,) = kubelet.get_ready(namespace)
        asked = {"model": "model", "prompt": [1], "max_tokens": 60_000, "ignore_eos": True}  # 10 minutes
        answer = asyncio.create_task(session.post(f"{life.url}/v1/completions", json=asked).__aenter__())
        await cluster.wait_until(count_running(kubelet), lambda it: it == 1, what="a request is running")
        await scale(cluster, namespace, "model", 0)
        await cluster.wait_until(lambda: list_pods(cluster, namespace), lambda it: not it, what="the pod is gone")
        assert isinstance((await asyncio.gather(answer, return_exceptions=True))[0], aiohttp.ClientError)


async def test_pods_without_a_place_say_so_until_a_node_comes(cluster: Cluster) -> None:
    namespace = await cluster.create_namespace()
    async with open_kubelet(FakeKubelet(cluster.client), [NODE]) as kubelet:
        deployment = make_deployment("model", 6, accelerators=1, product="NVIDIA-L40S")
        await cluster.create(DEPLOYMENTS, namespace, deployment)
        pods = await cluster.wait_until(
            lambda: list_pods(cluster, namespace),
            lambda it: sum(map(is_unschedulable, it)) == 2 and sum("nodeName" in pod["spec"] for pod in it) == 4,
            what="four pods have a place and two have none",
        )
        told = [get_condition(pod, "PodScheduled")["message"] for pod in pods if is_unschedulable(pod)]
        assert told == ["0/1 nodes are available: 1 Insufficient nvidia.com/gpu."] * 2
        await kubelet.add_node(FakeNode("second", "NVIDIA-L40S", 2))
        await wait_for_ready(cluster, namespace, "model", 6)
        await kubelet.remove_node("second")
        await cluster.wait_until(
            lambda: list_pods(cluster, namespace),
            lambda it: sum(map(is_unschedulable, it)) == 2,
            what="the pods of a node that went away are without a place again",
        )


async def test_a_node_autoscaler_brings_what_is_missing_after_a_while(cluster: Cluster) -> None:
    namespace = await cluster.create_namespace()
    clock = ScaledClock.starting_now(speed=20.0)
    async with open_kubelet(FakeKubelet(cluster.client, clock), [NODE]) as kubelet:
        kinds = [FakeNode("small", "NVIDIA-A100", 2), FakeNode("l40s", "NVIDIA-L40S", 2)]
        autoscaler = FakeNodeAutoscaler(cluster.client, kubelet, clock, kinds, delay_s=60.0)
        task = asyncio.create_task(autoscaler.run())
        began_s = clock.now_s()
        deployment = make_deployment("model", 7, accelerators=1, product="NVIDIA-L40S")
        await cluster.create(DEPLOYMENTS, namespace, deployment)
        await wait_for_ready(cluster, namespace, "model", 7)
        assert clock.now_s() - began_s >= 60.0
        assert autoscaler.added == ["l40s-1", "l40s-2"]
        task.cancel()
        nodes = (await cluster.client.list(NODES))["items"]
        assert sorted(node["metadata"]["name"] for node in nodes) == ["l40s-1", "l40s-2", "node"]
        assert all("taints" not in node["spec"] for node in nodes)


async def test_an_evicted_pod_stays_as_failed_and_is_replaced(cluster: Cluster) -> None:
    namespace = await cluster.create_namespace()
    async with open_kubelet(FakeKubelet(cluster.client), [NODE]) as kubelet:
        await cluster.create(DEPLOYMENTS, namespace, make_deployment("model"))
        await wait_for_ready(cluster, namespace, "model", 1)
        (life,) = kubelet.get_ready(namespace)
        await kubelet.evict(namespace, life.name)
        assert life.stage is Stage.FAILED
        await cluster.wait_until(
            lambda: list_pods(cluster, namespace),
            lambda it: sorted(pod["status"].get("phase", "") for pod in it) == ["Failed", "Running"],
            what="a new pod runs beside the evicted one",
        )


async def test_pods_live_on_while_the_api_server_is_away(cluster: Cluster) -> None:
    namespace = await cluster.create_namespace()
    kubelet = make_kubelet(cluster)
    async with open_kubelet(kubelet, [NODE]), aiohttp.ClientSession() as session:
        await cluster.create(DEPLOYMENTS, namespace, make_deployment("model"))
        await wait_for_ready(cluster, namespace, "model", 1)
        (life,) = kubelet.get_ready(namespace)
        cluster.control_plane.get_process(Part.API_SERVER).kill()
        async with session.get(f"{life.url}/health") as response:
            assert response.status == 200
        await cluster.control_plane.bring_up(Part.API_SERVER)
        await scale(cluster, namespace, "model", 3)
        await wait_for_ready(cluster, namespace, "model", 3)


async def test_pods_that_never_start_can_still_leave(cluster: Cluster) -> None:
    namespace = await cluster.create_namespace()
    async with open_kubelet(FakeKubelet(cluster.client, startup_s=math.inf), [NODE]) as kubelet:
        await cluster.create(DEPLOYMENTS, namespace, make_deployment("model"))
        await cluster.wait_until(
            lambda: list_pods(cluster, namespace), lambda it: it and it[0]["status"].get("podIP"), what="an address"
        )
        (life,) = kubelet.lives
        assert life.stage is Stage.STARTING
        await scale(cluster, namespace, "model", 0)
        await cluster.wait_until(lambda: list_pods(cluster, namespace), lambda it: not it, what="the pod is gone")


async def test_a_pod_deleted_by_force_takes_its_server_along(cluster: Cluster) -> None:
    namespace = await cluster.create_namespace()
    async with open_kubelet(FakeKubelet(cluster.client), [NODE]) as kubelet:
        await cluster.create(DEPLOYMENTS, namespace, make_deployment("model"))
        await wait_for_ready(cluster, namespace, "model", 1)
        (life,) = kubelet.get_ready(namespace)
        path = PODS.get_path(namespace, life.name)
        await cluster.client.request("DELETE", path, query={"gracePeriodSeconds": "0"})
        await cluster.wait_until(read_stage(life), lambda it: it is Stage.GONE, what="the kubelet noticed")


def count_running(kubelet: FakeKubelet) -> Callable[[], Awaitable[int]]:
    async def look() -> int:
        return sum(life.server.running_requests for life in kubelet.lives if life.server is not None)

    return look


def read_stage(life: FakePodLife) -> Callable[[], Awaitable[Stage]]:
    async def look() -> Stage:
        return life.stage

    return look


def get_condition(pod: Json, kind: str) -> Json:
    return next(it for it in pod["status"]["conditions"] if it["type"] == kind)
