"""A pod that serves a metrics page over real HTTP; what stands on the page is the test's to say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.builders.growing_page import grow_page


@dataclass
class FakePod:
    """A server of one page.

    Attributes
    ----------
    page
        What it serves.
    status
        With what HTTP status.
    url
        Its base address.
    authorizations
        The header of every request so far, None where there was none.
    """

    page: str
    status: int = 200
    url: str = ""
    authorizations: list[str | None] = field(default_factory=list)

    def grow(self, requests: int) -> None:
        """Let more requests have come and gone."""
        self.page = grow_page(self.page, requests=requests)

    async def answer(self, request: web.Request) -> web.Response:
        self.authorizations.append(request.headers.get("Authorization"))
        return web.Response(text=self.page, status=self.status)


@asynccontextmanager
async def serve_fake_pod(page: str) -> AsyncIterator[FakePod]:
    """Yield a pod that serves `page` at `/metrics`."""
    pod = FakePod(page)
    app = web.Application()
    app.router.add_get("/metrics", pod.answer)
    async with TestServer(app) as server:
        pod.url = str(server.make_url("")).rstrip("/")
        yield pod
