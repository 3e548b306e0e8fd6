"""A metrics page in front of a real one that goes wrong when told: gone, frozen, garbage, cut short, or dripping."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from itertools import cycle

import aiohttp
from aiohttp import web

from tests.builders.ports import choose_ports

CUT_RATIOS = (0.5, 0.97, 0.2, 0.75, 0.9)
_DRIP_S = 0.05
_HTML = b"<!doctype html><html><body><h1>502 Bad Gateway</h1></body></html>"
_GARBAGE = bytes(range(256)) * 64


class Fault(StrEnum):
    """How a page goes wrong."""

    NONE = "none"
    KILLED = "killed"
    FROZEN = "frozen"
    HTML = "html"
    GARBAGE = "garbage"
    TRUNCATED = "truncated"
    DRIPPING = "dripping"


class FaultyPage:
    """Shows `source` at an address of its own, which stays the same over every fault.

    A page that is killed has its port closed: connections, also those kept open, are refused. A frozen one repeats the
    bytes it showed last, a truncated one ends at another place every time.

    Attributes
    ----------
    source
        Base address of the real page.
    fault
        How it goes wrong now.
    has_process
        Whether it shows figures of the process; servers of several processes have none.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.fault = Fault.NONE
        self.has_process = True
        (self._port,) = choose_ports(1)  # nobody may have it while the page is killed
        self._body = b""
        self._cuts = cycle(CUT_RATIOS)
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    @property
    def url(self) -> str:
        """Base address."""
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        self._session = aiohttp.ClientSession()
        await self._listen()

    async def stop(self) -> None:
        await self._close_port()
        if self._session is not None:
            await self._session.close()

    async def go_wrong(self, fault: Fault) -> None:
        """Show the page so from now on; ``NONE`` heals it."""
        self.fault = fault
        if fault is Fault.KILLED:
            await self._close_port()
        elif self._runner is None:
            await self._listen()

    async def _listen(self) -> None:
        app = web.Application()
        app.router.add_get("/metrics", self._answer)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()

    async def _close_port(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        match self.fault:
            case Fault.HTML:
                return web.Response(body=_HTML, content_type="text/html")
            case Fault.GARBAGE:
                return web.Response(body=_GARBAGE, content_type="application/octet-stream")
            case Fault.TRUNCATED:
                body = await self._fetch()
                return _to_page(body[: int(len(body) * next(self._cuts))])
            case Fault.DRIPPING:
                return await self._drip(request)
            case Fault.FROZEN if self._body:
                return _to_page(self._body)
        self._body = await self._fetch()
        return _to_page(self._body)

    async def _drip(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for byte in await self._fetch():
            await response.write(bytes((byte,)))
            await asyncio.sleep(_DRIP_S)
        return response

    async def _fetch(self) -> bytes:
        assert self._session is not None
        async with self._session.get(f"{self.source}/metrics") as response:
            body = await response.read()
        if self.has_process:
            return body
        return b"".join(line for line in body.splitlines(keepends=True) if b"process_" not in line)


def _to_page(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="text/plain")
