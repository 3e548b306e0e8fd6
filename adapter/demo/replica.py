"""The life of one replica of the embedded fleet: asked for, starting, ready, draining, gone. It decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from adapter.clock import Clock
from adapter.demo.engine_server import EngineServer
from adapter.demo.engine_settings import EngineSettings, Lag
from adapter.inventory import PodEntry
from optimizer.domain import PodKey, PodPhase

_DRAIN_POLL_S = 0.25
LONGEST_DRAIN_S = 300.0


class FleetReplica:
    """One replica, from creation to deletion.

    Parameters
    ----------
    pod
        Its identity.
    settings
        Its engine.
    clock
        Engine time.
    startup_s
        Creation to ready [s].
    on_change
        Called whenever its phase changes.
    """

    def __init__(
        self, pod: PodKey, settings: EngineSettings, clock: Clock, startup_s: float, on_change: Callable[[], None]
    ) -> None:
        self.pod = pod
        self.phase = PodPhase.STARTING
        self.created_s = clock.now_s()
        self.ready_s: float | None = None
        self.deleted_s: float | None = None
        self._due_s = self.created_s + startup_s
        self._clock = clock
        self._server = EngineServer(settings, clock, ready_s=self._due_s)
        self._on_change = on_change
        self._life: asyncio.Task[None] | None = None
        self._leaving = asyncio.Event()
        self._url = ""

    @property
    def url(self) -> str:
        """Base address of its server, "" before it listens."""
        return self._url

    @property
    def requests(self) -> int:
        """Requests it has in hand."""
        return self._server.running_requests + self._server.waiting_requests

    def create(self) -> None:
        """Begin its life."""
        self._life = asyncio.create_task(self._live())

    def terminate(self) -> None:
        """Begin its end: at once while it starts, after its requests when it is ready; harmless the second time."""
        if self.phase is not PodPhase.TERMINATING:
            self.phase = PodPhase.TERMINATING
            self._leaving.set()
            self._on_change()

    async def close(self) -> None:
        """Stop the server whatever it does."""
        if self._life is not None:
            self._life.cancel()
            await asyncio.gather(self._life, return_exceptions=True)
        await self._server.stop()
        self.deleted_s = self.deleted_s or self._clock.now_s()

    def take_lag(self) -> Lag:
        """Return how late its engine was served since the last call."""
        return self._server.take_lag()

    def to_entry(self) -> PodEntry:
        """Return what an inventory says of it."""
        return PodEntry(self.pod, self._url, self.phase, self.created_s, self.ready_s)

    async def _live(self) -> None:
        await self._server.start()
        self._url = self._server.url
        if await self._become_ready():
            self.phase, self.ready_s = PodPhase.READY, self._clock.now_s()
            self._on_change()
            await self._leaving.wait()
            await self._drain()
        await self._server.stop()
        self.deleted_s = self._clock.now_s()
        self._on_change()

    async def _become_ready(self) -> bool:
        """Wait for the start to be over; False when the end was asked for before."""
        started = asyncio.create_task(self._clock.sleep_until(self._due_s))
        leaving = asyncio.create_task(self._leaving.wait())
        try:
            await asyncio.wait({started, leaving}, return_when=asyncio.FIRST_COMPLETED)
            return not leaving.done()
        finally:
            started.cancel()
            leaving.cancel()

    async def _drain(self) -> None:
        """Wait until nothing is in hand; a request that was on its way when the phase changed still arrives."""
        until_s = self._clock.now_s() + LONGEST_DRAIN_S
        idle = 0
        while idle < 2 and self._clock.now_s() < until_s:
            await self._clock.sleep(_DRAIN_POLL_S)
            idle = 0 if self.requests else idle + 1
