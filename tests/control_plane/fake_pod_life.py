"""The life of one pod on a fake node: starting, ready, draining, gone; told to the API server as a kubelet tells it.

It chooses no node and decides no number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol, TypeAlias

from adapter.clock import Clock
from adapter.errors import NotFound, Unreachable
from adapter.kube.client import Json, KubeClient, PatchType
from adapter.kube.resource import PODS
from tests.control_plane.pods import ENGINE_PORT

_DRAIN_POLL_S = 0.25
_RETRY_WALL_S = 0.2


class PodServer(Protocol):
    """What runs in a pod; `adapter.demo.engine_server.EngineServer` is one."""

    async def start(self) -> None:
        """Listen; raises OSError when the address cannot be had."""

    async def stop(self) -> None:
        """Drop every connection; harmless the second time."""

    @property
    def running_requests(self) -> int:
        """Requests in the batch."""

    @property
    def waiting_requests(self) -> int:
        """Requests queued."""


MakeServer: TypeAlias = Callable[[Json, str, int, float], PodServer | None]
"""From a pod, its address, its port, and when it is ready [s]; None for a pod in which nothing runs."""


class Stage(StrEnum):
    """Where a pod is in its life."""

    STARTING = "starting"
    READY = "ready"
    LEAVING = "leaving"
    FAILED = "failed"
    GONE = "gone"


class FakePodLife:
    """One pod that was bound to a fake node.

    Parameters
    ----------
    client
        The API.
    clock
        Time of starts and ends.
    pod
        The object as it was when it was bound.
    startup_s
        From now to ready [s].
    make_server
        Makes what runs in it.
    choose_address
        Returns an address that no pod had before.
    on_change
        Called whenever its stage changes.

    Attributes
    ----------
    stage
        Where it is in its life.
    address
        Of the pod, "" before it has one.
    created_s, ended_s
        When it was bound and when it was gone [s], None while it is there.
    """

    def __init__(
        self,
        client: KubeClient,
        clock: Clock,
        pod: Json,
        *,
        startup_s: float,
        make_server: MakeServer,
        choose_address: Callable[[], str],
        on_change: Callable[[], None],
    ) -> None:
        self.stage = Stage.STARTING
        self.address = ""
        self.created_s = clock.now_s()
        self.ended_s: float | None = None
        self._client = client
        self._clock = clock
        self._pod = pod
        self._ready_s = self.created_s + startup_s
        self._make_server = make_server
        self._choose_address = choose_address
        self._on_change = on_change
        self._server: PodServer | None = None
        self._leaving = asyncio.Event()
        self._grace_s = 0.0
        self._task = asyncio.create_task(self._live())

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return str(self._pod["metadata"]["namespace"])

    @property
    def name(self) -> str:
        """Its name."""
        return str(self._pod["metadata"]["name"])

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return dict(self._pod["metadata"].get("labels", {}))

    @property
    def url(self) -> str:
        """Base address of what runs in it, such as ``http://127.101.0.1:8000``; "" before it has an address."""
        return f"http://{self.address}:{get_port(self._pod)}" if self.address else ""

    @property
    def server(self) -> PodServer | None:
        """What runs in it."""
        return self._server

    def leave(self, grace_s: float) -> None:
        """Begin its end: at once while it starts, after its requests or `grace_s` [s] when it is ready."""
        if not self._leaving.is_set():
            self._grace_s = grace_s
            self._leaving.set()

    async def evict(self) -> None:
        """Fail it as a kubelet short of resources does: the object stays, nothing runs in it any more."""
        await self._end_task()
        await self._stop_server()
        failed = {"phase": "Failed", "reason": "Evicted", "message": "the node was low on resource: ephemeral-storage."}
        await self._tell({**failed, "conditions": self._list_conditions(is_ready=False)})
        self._enter(Stage.FAILED)

    async def close(self) -> None:
        """Stop whatever runs, without a word to the API server."""
        await self._end_task()
        await self._stop_server()
        self._enter(Stage.GONE)

    def check(self) -> None:
        """Raise whatever broke its life."""
        if self._task.done() and not self._task.cancelled():
            self._task.result()

    async def _end_task(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _live(self) -> None:
        try:
            await self._open_server()
            await self._tell(self._to_status(is_ready=False))
            if await self._become_ready():
                await self._tell(self._to_status(is_ready=True))
                self._enter(Stage.READY)
                await self._leaving.wait()
                self._enter(Stage.LEAVING)
                await self._drain()
            await self._stop_server()
            await self._delete()
        except NotFound:
            await self._stop_server()  # somebody deleted it by force
        self._enter(Stage.GONE)

    def _enter(self, stage: Stage) -> None:
        self.stage = stage
        if stage in (Stage.FAILED, Stage.GONE) and self.ended_s is None:
            self.ended_s = self._clock.now_s()
        self._on_change()

    async def _open_server(self) -> None:
        """Listen on an address of its own; another program may sit on one, so several are tried."""
        for attempt in range(50):
            address = self._choose_address()
            self._server = self._make_server(self._pod, address, get_port(self._pod), self._ready_s)
            try:
                if self._server is not None:
                    await self._server.start()
            except OSError:
                if attempt == 49:
                    raise
            else:
                self.address = address
                return

    async def _stop_server(self) -> None:
        if self._server is not None:
            await self._server.stop()

    async def _become_ready(self) -> bool:
        """Wait for the start to be over; False when the end was asked for before."""
        started = asyncio.create_task(self._clock.sleep_until(self._ready_s))
        leaving = asyncio.create_task(self._leaving.wait())
        try:
            await asyncio.wait({started, leaving}, return_when=asyncio.FIRST_COMPLETED)
            return not leaving.done()
        finally:
            started.cancel()
            leaving.cancel()

    async def _drain(self) -> None:
        """Wait until nothing is in hand; a request that was on its way when the end began still arrives."""
        if self._server is None:
            return
        until_s = self._clock.now_s() + self._grace_s
        idle = 0
        while idle < 2 and self._clock.now_s() < until_s:
            await self._clock.sleep(_DRAIN_POLL_S)
            idle = 0 if self._server.running_requests + self._server.waiting_requests else idle + 1

    async def _tell(self, status: Json) -> None:
        body = {"status": status}

        async def patch() -> None:
            await self._client.patch(
                PODS, self.namespace, self.name, body, subresource="status", kind=PatchType.STRATEGIC
            )

        await _insist(patch)

    async def _delete(self) -> None:
        async def delete() -> None:
            path = PODS.get_path(self.namespace, self.name)
            await self._client.request("DELETE", path, query={"gracePeriodSeconds": "0"})

        await _insist(delete)

    def _to_status(self, *, is_ready: bool) -> Json:
        now = self._render_now()
        containers: list[Json] = self._pod["spec"]["containers"]
        return {
            "phase": "Running",
            "startTime": now,
            "hostIP": "127.0.0.1",
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
            "conditions": self._list_conditions(is_ready=is_ready),
            "containerStatuses": [
                {
                    "name": container["name"],
                    "image": container["image"],
                    "imageID": "fake",
                    "ready": is_ready,
                    "started": True,
                    "restartCount": 0,
                    "state": {"running": {"startedAt": now}},
                }
                for container in containers
            ],
        }

    def _list_conditions(self, *, is_ready: bool) -> list[Json]:
        now = self._render_now()
        states = {"PodScheduled": True, "Initialized": True, "ContainersReady": is_ready, "Ready": is_ready}
        return [
            {"type": name, "status": str(state), "lastTransitionTime": now, "reason": None, "message": None}
            for name, state in states.items()
        ]

    def _render_now(self) -> str:
        return datetime.fromtimestamp(self._clock.now_s(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def get_port(pod: Json) -> int:
    """Return where the engine of `pod` listens: its first port, else the usual one."""
    containers: list[Json] = pod["spec"]["containers"]
    ports = [port["containerPort"] for container in containers for port in container.get("ports", [])]
    return int(ports[0]) if ports else ENGINE_PORT


async def _insist(operation: Callable[[], Awaitable[None]]) -> None:
    """Perform `operation`, again and again while the API server is away."""
    while True:
        try:
            await operation()
        except Unreachable:
            await asyncio.sleep(_RETRY_WALL_S)
        else:
            return
