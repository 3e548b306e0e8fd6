from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.engine.load import TrialClock
from tests.engine.watch import Answer, Watcher


@dataclass(frozen=True, slots=True)
class HandClock(TrialClock):
    """Stands where it is put, and tells that it was read there."""

    stands_s: list[float] = field(default_factory=lambda: [0.0])
    was_read: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, time_s: float) -> None:
        self.stands_s.append(time_s)
        self.was_read.clear()

    def now_s(self) -> float:
        self.was_read.set()
        return self.stands_s[-1]


async def ask_slow_server() -> Answer:
    """The answer of a server that begins at 3 s and ends at 8 s, asked at 0 s."""
    clock = HandClock()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        clock.put(3.0)
        await response.prepare(request)
        await response.write(b"first ")
        await clock.was_read.wait()
        clock.put(8.0)
        await response.write(b"last")
        return response

    app = web.Application()
    app.router.add_get("/metrics", answer)
    async with TestServer(app) as server, aiohttp.ClientSession() as session, asyncio.timeout(20):
        watcher = Watcher(session, str(server.make_url("/metrics")), 1.0, clock)
        watching = asyncio.create_task(watcher.watch())
        while not watcher.answers:
            await asyncio.sleep(0)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    return watcher.answers[0]


def test_a_page_is_of_the_moment_in_which_it_was_asked_for_however_long_it_took() -> None:
    assert asyncio.run(ask_slow_server()) == Answer(0.0, "200", "first last", begun_s=3.0)
