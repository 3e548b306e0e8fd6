"""Processes of ours that stand for election on one lease, with cables to pull and clocks of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from kubernetes_asyncio.client import ApiClient, Configuration

from adapter.kube.client import KubeClient
from adapter.kube.lease import LeaderElector
from adapter.kube.resource import LEASES
from tests.builders.fake_kube_api import FakeKubeApi
from tests.builders.quiet_clock import START_S, QuietClock

LEASE_S, RENEW_S, RETRY_S = 12.0, 8.0, 2.0


class SeverableClient(KubeClient):
    """A client whose cable can be pulled, or be very long."""

    is_severed = False
    clock: QuietClock | None = None
    lag_s = 0.0

    async def _call(self, *args: Any, **kwargs: Any) -> Any:
        if self.is_severed:
            raise aiohttp.ClientConnectionError("the cable is out")
        answer = await super()._call(*args, **kwargs)
        if self.clock is not None:
            await self.clock.sleep(self.lag_s)
        return answer


@dataclass
class LateClock:
    """Shows another time than the clock it hangs on, and can jump, as the clock of a process that slept."""

    clock: QuietClock
    ahead_s: float
    speed: float = 1.0

    def now_s(self) -> float:
        return self.clock.now_s() + self.ahead_s

    async def sleep(self, duration_s: float) -> None:
        await self.clock.sleep(duration_s)

    async def sleep_until(self, time_s: float) -> None:
        await self.clock.sleep_until(time_s - self.ahead_s)


@dataclass
class Replica:
    """One process of ours: what it does while it leads is noted down with its time."""

    name: str
    client: SeverableClient
    clock: LateClock
    elector: LeaderElector
    cleanup_s: float = 0.0
    diary: list[tuple[str, float]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.task = asyncio.create_task(self.elector.run(self.lead))

    async def lead(self) -> None:
        self.note("leads")
        try:
            await self.clock.sleep(1e9)
        finally:
            self.note("stops")
            await self.clock.sleep(self.cleanup_s)
            self.note("stopped")

    def note(self, what: str) -> None:
        self.diary.append((what, self.clock.clock.now_s() - START_S))

    def get_last_s(self, what: str) -> float:
        return max(at_s for did, at_s in self.diary if did == what)

    def kill(self) -> None:
        """End it without a word to anybody; what it would do from now on counts for nothing."""
        self.client.is_severed = True
        self.diary.append(("stopped", self.clock.clock.now_s() - START_S))
        if self.task is not None:
            self.task.cancel()
            self.task = None

    async def stop(self) -> None:
        """End it in good order; what it cleans up may take time."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait({self.task})
            assert self.task.cancelled(), self.task.result()
            self.task = None

    def stop_soon(self) -> None:
        assert self.task is not None
        self.task.cancel()


@dataclass
class House:
    """All replicas of one test."""

    api: FakeKubeApi
    clock: QuietClock
    stack: AsyncExitStack
    replicas: list[Replica] = field(default_factory=list)

    async def open(
        self, name: str = "", *, ahead_s: float = 0.0, cleanup_s: float = 0.0, start: bool = True
    ) -> Replica:
        connection = await self.stack.enter_async_context(ApiClient(Configuration(host=self.api.url)))
        client, clock = SeverableClient(connection), LateClock(self.clock, ahead_s)
        name = name or f"replica-{len(self.replicas)}"
        elector = LeaderElector(client, clock, namespace="here", name="leader", identity=name)
        replica = Replica(name, client, clock, elector, cleanup_s)
        self.replicas.append(replica)
        if start:
            replica.start()
        return replica

    async def run(self, duration_s: float, step_s: float = 0.25) -> None:
        """Let time pass; at no moment do two lead."""
        end_s = self.clock.now_s() + duration_s
        while self.clock.now_s() < end_s:
            await self.clock.run_to(min(self.clock.now_s() + step_s, end_s))
            assert len(self.list_leaders()) <= 1

    async def run_until(self, condition: Callable[[], bool], longest_s: float = 60.0) -> float:
        """Let time pass until `condition` holds; return how long that took [s]."""
        start_s = self.clock.now_s()
        while not condition():
            assert self.clock.now_s() - start_s < longest_s, "it did not come about in time"
            await self.run(0.25)
        return self.clock.now_s() - start_s

    def list_leaders(self) -> list[str]:
        return [replica.name for replica in self.replicas if replica.elector.is_leader]

    def get_lease(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.api.get(LEASES, "here", "leader")["spec"]
        return spec


def check_diaries(replicas: list[Replica]) -> None:
    """Between "leads" and "stopped" of one nobody else leads."""
    entries = sorted((at_s, replica.name, what) for replica in replicas for what, at_s in replica.diary)
    leading: set[str] = set()
    for _, name, what in sorted(entries, key=lambda entry: (entry[0], entry[2] == "leads")):
        if what == "leads":
            leading.add(name)
        elif what == "stopped":
            leading.discard(name)
        assert len(leading) <= 1, entries
