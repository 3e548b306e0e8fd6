"""Stands in for scheduler and kubelets: binds pods to fake nodes, runs a server in each, tells readiness, drains.

A real kubelet needs containers; everything else of the cluster is real, so pods are seen and scaled as always.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress

from adapter.clock import Clock, ScaledClock
from adapter.errors import Conflict, NotFound, Unreachable
from adapter.kube.client import Json, KubeClient, PatchType
from adapter.kube.resource import NODES, PODS
from tests.control_plane.fake_nodes import FakeNode, place_pods
from tests.control_plane.fake_pod_life import FakePodLife, MakeServer, Stage

_LOOK_EVERY_WALL_S = 0.1


class FakeKubelet:
    """All nodes of a cluster.

    Parameters
    ----------
    client
        The API.
    clock
        Time of starts and ends.
    startup_s
        Binding to ready of a pod [s]; may be changed while it runs.
    make_server
        Makes what runs in a pod; None: nothing runs, pods only say that they are ready.
    on_change
        Called whenever a pod changes its stage.

    Attributes
    ----------
    startup_s
        As above.
    history
        The pods that are gone.
    """

    def __init__(
        self,
        client: KubeClient,
        clock: Clock | None = None,
        *,
        startup_s: float = 0.0,
        make_server: MakeServer | None = None,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        self.startup_s = startup_s
        self.history: list[FakePodLife] = []
        self._client = client
        self._clock = clock or ScaledClock.starting_now()
        self._make_server = make_server or _run_nothing
        self._on_change = on_change or _ignore
        self._lives: dict[str, FakePodLife] = {}
        self._refused: dict[str, str] = {}
        self._numbers = itertools.count(1)
        self._lock = asyncio.Lock()  # a node is not taken away while pods are bound to it

    @property
    def lives(self) -> tuple[FakePodLife, ...]:
        """Pods that are bound and not gone."""
        return tuple(life for life in self._lives.values() if life.stage is not Stage.GONE)

    def get_ready(self, namespace: str, app: str | None = None) -> list[FakePodLife]:
        """Return the ready pods of `namespace`, or of those the ones with the label ``app``."""
        return [
            life
            for life in self.lives
            if life.stage is Stage.READY and life.namespace == namespace and app in (None, life.labels.get("app"))
        ]

    async def add_node(self, node: FakeNode) -> None:
        """Register a node, ready to take pods."""
        await self._client.create(NODES, None, node.to_object())
        # a new node is tainted as not ready until a controller that does not run here takes that away
        await self._client.patch(NODES, None, node.name, {"spec": {"taints": None}}, kind=PatchType.MERGE)

    async def remove_node(self, name: str) -> None:
        """Take a node away, with all pods on it."""
        async with self._lock:
            await self._client.delete(NODES, None, name)
            for pod in (await self._client.list(PODS))["items"]:
                if pod["spec"].get("nodeName") == name:
                    await self._drop(pod)

    async def evict(self, namespace: str, name: str) -> None:
        """Fail one pod as a node short of resources does."""
        life = next(life for life in self.lives if (life.namespace, life.name) == (namespace, name))
        await life.evict()

    async def run(self) -> None:
        """Look after all pods, for ever; while the API server is away everything stays as it is."""
        while True:
            with suppress(Unreachable):
                async with self._lock:
                    await self.step()
            await asyncio.sleep(_LOOK_EVERY_WALL_S)

    async def step(self) -> None:
        """Look at all pods once, and do what is due.

        Raises
        ------
        Unreachable
            When the API server is away.
        """
        pods: list[Json] = (await self._client.list(PODS))["items"]
        await self._place(pods)
        for pod in pods:
            self._look_after(pod)
        present = {pod["metadata"]["uid"] for pod in pods}
        for uid in [uid for uid in self._lives if uid not in present]:
            life = self._lives.pop(uid)
            await life.close()
            self.history.append(life)
        self._refused = {uid: reason for uid, reason in self._refused.items() if uid in present}

    async def close(self) -> None:
        """Stop every server, without a word to the API server."""
        await asyncio.gather(*(life.close() for life in self._lives.values()))

    async def _place(self, pods: Iterable[Json]) -> None:
        """Bind the pods that wait, and tell those without a place why."""
        waiting = [pod for pod in pods if _is_waiting(pod)]
        if not waiting:
            return
        bound = [pod for pod in pods if pod["spec"].get("nodeName") and not _is_over(pod)]
        placing = place_pods(waiting, (await self._client.list(NODES))["items"], bound)
        for pod in waiting:
            uid = pod["metadata"]["uid"]
            with suppress(NotFound, Conflict):  # deleted meanwhile
                if uid in placing.nodes:
                    await self._bind(pod, placing.nodes[uid])
                elif self._refused.get(uid) != placing.refusals[uid]:
                    await self._refuse(pod, placing.refusals[uid])

    async def _bind(self, pod: Json, node: str) -> None:
        name = pod["metadata"]["name"]
        path = PODS.get_path(pod["metadata"]["namespace"], name, "binding")
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
        await self._client.request("POST", path, body=body)
        pod["spec"]["nodeName"] = node

    async def _refuse(self, pod: Json, reason: str) -> None:
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": reason}
        metadata = pod["metadata"]
        await self._client.patch(
            PODS,
            metadata["namespace"],
            metadata["name"],
            {"status": {"conditions": [condition]}},
            subresource="status",
            kind=PatchType.STRATEGIC,
        )
        self._refused[metadata["uid"]] = reason

    def _look_after(self, pod: Json) -> None:
        """Begin the life of a pod that was bound, or its end."""
        metadata = pod["metadata"]
        uid = metadata["uid"]
        if not pod["spec"].get("nodeName") or _is_over(pod):
            return
        if uid not in self._lives:
            self._lives[uid] = FakePodLife(
                self._client,
                self._clock,
                pod,
                startup_s=self.startup_s,
                make_server=self._make_server,
                choose_address=self._choose_address,
                on_change=self._on_change,
            )
        self._lives[uid].check()
        if "deletionTimestamp" in metadata:
            self._lives[uid].leave(float(metadata.get("deletionGracePeriodSeconds", 0)))

    async def _drop(self, pod: Json) -> None:
        life = self._lives.get(pod["metadata"]["uid"])
        if life is not None:
            await life.close()
        path = PODS.get_path(pod["metadata"]["namespace"], pod["metadata"]["name"])
        with suppress(NotFound):
            await self._client.request("DELETE", path, query={"gracePeriodSeconds": "0"})

    def _choose_address(self) -> str:
        """Return the next loopback address of those that this process keeps to."""
        number = next(self._numbers) % (256 * 254)
        return f"127.{64 + os.getpid() % 128}.{number // 254}.{number % 254 + 1}"


@asynccontextmanager
async def open_kubelet(kubelet: FakeKubelet, nodes: Iterable[FakeNode] = ()) -> AsyncIterator[FakeKubelet]:
    """Yield `kubelet` at work on `nodes`; raise whatever broke it meanwhile."""
    for node in nodes:
        await kubelet.add_node(node)
    task = asyncio.create_task(kubelet.run())
    try:
        yield kubelet
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await kubelet.close()


def _is_waiting(pod: Json) -> bool:
    return not pod["spec"].get("nodeName") and "deletionTimestamp" not in pod["metadata"] and not _is_over(pod)


def _is_over(pod: Json) -> bool:
    return pod["status"].get("phase") in ("Failed", "Succeeded")


def _run_nothing(_pod: Json, _host: str, _port: int, _ready_s: float) -> None:
    """Make nothing that runs."""


def _ignore() -> None:
    """Do nothing about a change."""
