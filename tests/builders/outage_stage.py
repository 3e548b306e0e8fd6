"""A stage for outages: a fleet under traffic and the adapter as composed, on a clock that the stage moves.

Time goes from one arrival or pass to the next and stands still until what is due has happened, so that nothing depends
on how fast the machine is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import aiohttp

from adapter.compose import Application, open_application
from tests.builders.outage_fleet import CHEAP, DEAR, NAMESPACE, EngineName, OutageFleet, open_fleet
from tests.builders.published import Published, read_published
from tests.builders.stepped_clock import SteppedClock, until

PERIOD_S = 15.0


class Stage:
    """The adapter before a fleet; use `open_stage`.

    Attributes
    ----------
    fleet
        What it watches.
    seen
        What was published after every pass.
    """

    def __init__(self, clock: SteppedClock, fleet: OutageFleet, config: Path, session: aiohttp.ClientSession) -> None:
        self.fleet = fleet
        self.seen: list[Published] = []
        self._clock, self._config, self._session = clock, config, session
        self._begun_s, self._periods, self._sent = clock.now_s(), 0, 0
        self._application: Application | None = None
        self._open = AsyncExitStack()

    @property
    def last(self) -> Published:
        """What is published now."""
        return self.seen[-1]

    async def start_adapter(self) -> Published:
        """Start the adapter and return what its first pass published."""
        application = await self._open.enter_async_context(open_application(self._config, self._clock))
        self._application = application
        loop = asyncio.create_task(application.work.run())
        self._open.push_async_callback(_cancel, loop)
        self._begun_s, self._periods = self._clock.now_s(), 0
        await until(lambda: application.store.get().passes == 1)
        return await self.look()

    async def stop_adapter(self) -> None:
        await self._open.aclose()

    async def play(self, passes: int, rate_per_s: float) -> list[Published]:
        """Let time go on for some passes under traffic, and return what each of them published."""
        for _ in range(passes):
            start_s = self._begun_s + self._periods * PERIOD_S
            for number in range(round(rate_per_s * PERIOD_S)):
                await self._clock.run_to(start_s + (number + 0.5) / rate_per_s)
                await self._send()
            await self._run_pass(start_s + PERIOD_S)
            await self.look()
        return self.seen[-passes:]

    async def look(self) -> Published:
        """Read everything that is published now, over HTTP."""
        assert self._application is not None
        self.seen.append(await read_published(self._session, self._application.addresses, NAMESPACE, CHEAP, DEAR))
        return self.last

    async def _send(self) -> None:
        self._sent += 1
        self.fleet.send()
        await until(lambda: self.fleet.taken_requests == self._sent)

    async def _run_pass(self, due_s: float) -> None:
        assert self._application is not None
        store, before = self._application.store, self._application.store.get().passes
        await self._clock.run_to(due_s)
        await until(lambda: store.get().passes == before + 1)
        self._periods += 1


@asynccontextmanager
async def open_stage(
    folder: Path,
    engine_name: EngineName = "vllm",
    *,
    timeout: str = "10s",
    calm_window: str = "30s",
    has_gateway: bool = False,
    has_state: bool = False,
) -> AsyncIterator[Stage]:
    """Yield a stage whose adapter has run its first pass; `timeout` is that of a page, in wall time."""
    clock = SteppedClock()
    async with open_fleet(clock, engine_name) as fleet, aiohttp.ClientSession() as session:
        config = folder / "config.yaml"
        text = fleet.render_config(
            timeout=timeout, calm_window=calm_window, has_gateway=has_gateway, has_state=has_state
        )
        config.write_text(text, encoding="utf-8")
        stage = Stage(clock, fleet, config, session)
        try:
            await stage.start_adapter()
            yield stage
        finally:
            await stage.stop_adapter()


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
