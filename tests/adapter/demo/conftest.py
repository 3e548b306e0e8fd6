"""Replicas on loopback, under a clock that the test moves, and clients that can leave."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import pytest

from adapter.demo.engine_server import EngineServer, EngineSettings
from optimizer.domain import IterationLaw
from optimizer.simulation import EndedRequest
from tests.builders.stepped_clock import SteppedClock, until

LAW = IterationLaw(fixed_s=0.01, per_request_s=2e-4, per_context_token_s=3e-7, per_prompt_token_s=5e-5)
SETTINGS = EngineSettings("llama-8b", LAW, 1_000_000, max_model_tokens=100_000)


@dataclass
class Client:
    """One streaming request in progress."""

    response: aiohttp.ClientResponse
    frames: list[str] = field(default_factory=list)

    async def read(self) -> list[str]:
        """Read to the end; the data of every frame."""
        async for line in self.response.content:
            if line.startswith(b"data: "):
                self.frames.append(line.removeprefix(b"data: ").decode().strip())
        return self.frames

    def leave(self) -> None:
        """Cut the connection."""
        self.response.close()


@dataclass
class Bench:
    """A server, its clock, a session to talk to it, and the records it reported."""

    server: EngineServer
    clock: SteppedClock
    session: aiohttp.ClientSession
    ended: list[EndedRequest]
    responses: list[aiohttp.ClientResponse] = field(default_factory=list)

    async def post(self, **fields: object) -> aiohttp.ClientResponse:
        body = {"model": "llama-8b", "prompt": "one two three", "ignore_eos": True, **fields}
        self.responses.append(await self.session.post(f"{self.server.url}/v1/completions", json=body))
        return self.responses[-1]

    async def open_stream(self, **fields: object) -> Client:
        """Send a streaming request; it is in the engine when this returns."""
        return Client(await self.post(stream=True, **fields))

    async def fetch(self, path: str) -> str:
        async with self.session.get(self.server.url + path) as response:
            return await response.text()

    async def run(self, duration_s: float) -> None:
        await self.clock.run_to(self.clock.now_s() + duration_s)

    async def drain(self) -> None:
        """Wait until nobody is in the engine."""
        await until(lambda: self.server.running_requests + self.server.waiting_requests == 0)


MakeBench = Callable[..., Any]


@pytest.fixture
async def make_bench() -> AsyncIterator[MakeBench]:
    """Return a maker of benches; keyword arguments change the settings."""
    made: list[Bench] = []

    async def make(ready_in_s: float | None = None, **changes: object) -> Bench:
        clock = SteppedClock()
        ended: list[EndedRequest] = []
        settings = replace(SETTINGS, **changes)  # type: ignore[arg-type]
        ready_s = None if ready_in_s is None else clock.now_s() + ready_in_s
        server = EngineServer(settings, clock, ready_s=ready_s, on_end=ended.append)
        await server.start()
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        made.append(Bench(server, clock, session, ended))
        return made[-1]

    yield make
    for bench in made:
        for response in bench.responses:
            response.close()
        await bench.session.close()
        await bench.server.stop()
