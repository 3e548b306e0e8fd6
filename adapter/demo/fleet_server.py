"""The HTTP face of the fleet: its inventory for discovery, its state for those who watch, and the word to begin."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from adapter.inventory import Inventory, to_document


@dataclass(frozen=True, slots=True)
class Begin:
    """The word that lets traffic and scaling begin.

    Attributes
    ----------
    api_url
        Base address of the external metrics API.
    adapter_pid
        Process of the autoscaler, ended with us when whoever started both is gone; 0 for none.
    """

    api_url: str
    adapter_pid: int = 0


class FleetServer:
    """Serves the fleet on loopback.

    Parameters
    ----------
    get_inventory, get_status, get_report
        Asked at every request.
    """

    def __init__(
        self,
        get_inventory: Callable[[], Inventory],
        get_status: Callable[[], dict[str, Any]],
        get_report: Callable[[], dict[str, Any]],
    ) -> None:
        self._get_inventory = get_inventory
        self._get_status = get_status
        self._get_report = get_report
        self._begin: asyncio.Future[Begin] = asyncio.get_running_loop().create_future()
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> None:
        """Listen; `url` is known afterwards."""
        app = web.Application()
        app.router.add_get("/inventory", self._show_inventory)
        app.router.add_get("/status", self._show_status)
        app.router.add_get("/report", self._show_report)
        app.router.add_post("/begin", self._take_begin)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Stop listening; harmless when not started."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def wait_for_begin(self) -> Begin:
        """Return once somebody posted to ``/begin``."""
        return await asyncio.shield(self._begin)

    async def _show_inventory(self, _: web.Request) -> web.Response:
        return web.json_response(to_document(self._get_inventory()))

    async def _show_status(self, _: web.Request) -> web.Response:
        return web.json_response(self._get_status())

    async def _show_report(self, _: web.Request) -> web.Response:
        return web.json_response(self._get_report())

    async def _take_begin(self, request: web.Request) -> web.Response:
        document = await request.json()
        if not self._begin.done():
            self._begin.set_result(Begin(str(document["api_url"]), int(document.get("adapter_pid", 0))))
        return web.json_response({})
