"""Plays a schedule against a server with an optional adapter beside it, and returns everything that was seen.

It judges nothing and writes no files.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import numpy as np

from tests.engine.adapter_process import AdapterProcess
from tests.engine.compare import Span
from tests.engine.load import LoadClient, TrialClock
from tests.engine.record import RequestRecord
from tests.engine.schedule import SETTLING_S, Phase, Restart, plan_requests
from tests.engine.server import VllmServer
from tests.engine.watch import Answer, Watcher

PAGE_PERIOD_S, DECISION_PERIOD_S = 2.0, 1.0
FINISH_WITHIN_S = 60.0
#: Around a restart nobody can tell the arrivals between the last page before and the first two pages after.
RESTART_MARGIN_S = 2.5 * PAGE_PERIOD_S


@dataclass(slots=True)
class Sighting:
    """What was seen of a trial; all times count from its beginning [s].

    Attributes
    ----------
    clock
        With the Unix time of the beginning.
    parts
        What was played, and when.
    healthy_after_s
        How long each start of the server took [s].
    records
        The client's requests in order of sending.
    pages, decisions
        The server's metric pages and the adapter's decisions.
    end_s
        When the server was stopped [s].
    """

    clock: TrialClock = field(default_factory=TrialClock)
    parts: list[tuple[Phase | Restart, Span]] = field(default_factory=list)
    healthy_after_s: list[float] = field(default_factory=list)
    records: list[RequestRecord] = field(default_factory=list)
    pages: list[Answer] = field(default_factory=list)
    decisions: list[Answer] = field(default_factory=list)
    end_s: float = 0.0

    def list_steady(self) -> list[tuple[str, Span]]:
        """Return each phase whose means and quantiles are compared: its name, and its time without the settling."""
        return [
            (part.name, Span(span.start_s + SETTLING_S, span.end_s))
            for part, span in self.parts
            if isinstance(part, Phase) and part.is_steady
        ]

    def list_restarts(self) -> list[Span]:
        """Return the restarts, each with the time around it in which arrivals cannot be known."""
        return [
            Span(span.start_s - RESTART_MARGIN_S, span.end_s + RESTART_MARGIN_S)
            for part, span in self.parts
            if isinstance(part, Restart)
        ]


async def play(
    schedule: Sequence[Phase | Restart],
    seed: int,
    server: VllmServer,
    adapter: AdapterProcess | None,
    say: Callable[[str], None],
) -> Sighting:
    """Start server and adapter, play the schedule, stop both and return what was seen.

    Raises
    ------
    ServerFailure, AdapterFailure
        When one of them did not start, or ended by itself.
    """
    sighting, generator = Sighting(), np.random.default_rng(seed)
    # A connection for each request: one that waits for reuse may be closed by the server just when it is wanted.
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True), timeout=aiohttp.ClientTimeout(total=None)
    ) as session:
        client = LoadClient(session, server.url, sighting.clock, sighting.records)
        stage = _Stage(session, server, client, sighting, say)
        watchers = [Watcher(session, f"{server.url}/metrics", PAGE_PERIOD_S, sighting.clock, sighting.pages)]
        try:
            if adapter is not None:
                adapter.start()
                watchers.append(
                    Watcher(session, adapter.decisions_url, DECISION_PERIOD_S, sighting.clock, sighting.decisions)
                )
            async with _watching(watchers):
                await stage.start_server()
                for part in schedule:
                    if adapter is not None:
                        adapter.check_alive()
                    await stage.play(part, generator)
                await client.finish(FINISH_WITHIN_S)
                await asyncio.sleep(2 * PAGE_PERIOD_S)  # so that a page shows the end
                sighting.end_s = sighting.clock.now_s()
        finally:
            server.kill()
            if adapter is not None:
                adapter.stop()
    return sighting


@dataclass(frozen=True, slots=True)
class _Stage:
    session: aiohttp.ClientSession
    server: VllmServer
    client: LoadClient
    sighting: Sighting
    say: Callable[[str], None]

    async def play(self, part: Phase | Restart, generator: np.random.Generator) -> None:
        start_s = self.client.clock.now_s()
        if isinstance(part, Restart):
            self.say(f"{start_s:5.0f} s  {part.name}: killing the server, then starting it again")
            self.server.kill()
            await self.start_server()
        else:
            requests = plan_requests(part, generator)
            self.say(f"{start_s:5.0f} s  {part.name}: {len(requests)} requests in {part.duration_s:.0f} s")
            await self.client.play(requests, part.duration_s)
        self.sighting.parts.append((part, Span(start_s, self.client.clock.now_s())))

    async def start_server(self) -> None:
        self.server.start()
        healthy_s = await self.server.wait_until_healthy(self.session)
        self.sighting.healthy_after_s.append(round(healthy_s, 1))
        self.say(f"{self.client.clock.now_s():5.0f} s  healthy, {healthy_s:.0f} s after its start")
        await self.client.warm_up()


@asynccontextmanager
async def _watching(watchers: Sequence[Watcher]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(watcher.watch()) for watcher in watchers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
