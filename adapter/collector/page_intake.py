"""The way of a page from its server into a history: asked for, read and counted.

It knows neither pods nor gateways, only addresses and who takes the page.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from adapter.clock import Clock, read_wall_s
from adapter.collector.fetch import PageFetcher, PageUnusable
from adapter.collector.options import ScrapeOptions
from adapter.telemetry import Telemetry
from optimizer.domain import Reason


class PageTaker(Protocol):
    """Whoever remembers pages; `reason` says why the newest could not be used, None when it could."""

    reason: Reason | None

    def take_page(self, body: bytes, time_s: float) -> None:
        """Take the page `body`, of `time_s` [s]."""
        ...

    def miss_page(self, reason: Reason, time_s: float) -> None:
        """Note that the page of `time_s` [s] could not be had."""
        ...


class Turnstile:
    """Lets one through per turn of the event loop, so that many cannot keep everybody else on the loop waiting."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._lock = clock, asyncio.Lock()

    async def __aenter__(self) -> None:
        """Wait for the own turn."""
        await self._lock.acquire()

    async def __aexit__(self, *_exc: object) -> None:
        """Leave the next turn to the next one."""
        try:
            await self._clock.sleep(0.0)
        finally:
            self._lock.release()


class PageIntake:
    """Fetches pages side by side; asks for one and hands over one per turn of the event loop.

    Reading a page takes half a millisecond, asking for it a third of that; servers that share the loop go on answering
    in between. Use it as an async context manager.
    """

    def __init__(self, options: ScrapeOptions, clock: Clock, telemetry: Telemetry) -> None:
        self._clock, self._telemetry = clock, telemetry
        self._fetcher = PageFetcher(options, clock)
        self._asking, self._reading = Turnstile(clock), Turnstile(clock)

    async def __aenter__(self) -> PageIntake:
        """Open the connections; OSError when the file of authorities cannot be used."""
        await self._fetcher.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the connections."""
        await self._fetcher.__aexit__(*exc)

    def reconfigure(self, options: ScrapeOptions) -> None:
        """Fetch as `options` say from the next page on; OSError, and no change, when authorities cannot be used."""
        self._fetcher.reconfigure(options)

    async def take(self, url: str, takers: Sequence[PageTaker], *, keep_alive: bool = True) -> None:
        """Fetch the page at `url` and hand it, or the reason why there is none, to every one of `takers`."""
        async with self._asking:
            begun_s = read_wall_s()
        try:
            page = await self._fetcher.fetch(url, keep_alive=keep_alive)
        except PageUnusable as failure:
            for taker in takers:
                taker.miss_page(failure.reason, self._clock.now_s())
        else:
            for taker in takers:
                async with self._reading:
                    taker.take_page(page.body, page.time_s)
        reason = next((taker.reason for taker in takers if taker.reason is not None), None)
        self._telemetry.count_scrape("ok" if reason is None else reason.code.value, read_wall_s() - begun_s)
