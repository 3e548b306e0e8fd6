"""Servers on loopback that stand for pods and gateways: they answer with a real page, or go wrong as servers do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from aiohttp import web

from tests.builders.pod_page import MODEL_NAME, PodPage
from tests.builders.raw_server import open_raw_server

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class FakeServer:
    """One server; what it answers, and the page that it answers with when healthy, may change while it runs."""

    answer: Answer | None = None
    page: PodPage = field(default_factory=PodPage)
    model_name: str = MODEL_NAME
    url: str = ""
    requests: list[web.Request] = field(default_factory=list)
    connections: list[web.RequestHandler] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.connections.append(request.protocol)
        return await (self.answer or self.answer_page)(request)

    async def answer_page(self, _request: web.Request) -> web.StreamResponse:
        return respond(self.page.render(self.model_name))

    def freeze(self) -> None:
        """Answer with the present page from now on."""
        body = self.page.render(self.model_name)
        self.answer = answer_with(body)


class FakeServers:
    """All servers of one test."""

    def __init__(self) -> None:
        self._runners: list[web.AppRunner] = []
        self._raw = AsyncExitStack()

    async def open(self, answer: Answer | None = None, *, model_name: str = MODEL_NAME) -> FakeServer:
        """Return a server that answers every path alike."""
        server = FakeServer(answer, model_name=model_name)
        app = web.Application()
        app.router.add_get("/{path:.*}", server.handle)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.0)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return server

    async def open_raw(self, *answers: bytes) -> str:
        """Return the address of a server that answers its n-th connection with the n-th bytes, whatever it is asked."""
        left = iter(answers)

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(next(left))

        return f"http://127.0.0.1:{await self._raw.enter_async_context(open_raw_server(answer))}"

    async def close(self) -> None:
        """End all servers."""
        await self._raw.aclose()
        for runner in self._runners:
            await runner.cleanup()


def respond(
    body: bytes, *, status: int = 200, content_type: str = "text/plain", headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.Response(body=body, status=status, content_type=content_type, headers=headers)


def answer_with(
    body: bytes, *, status: int = 200, content_type: str = "text/plain", headers: Mapping[str, str] | None = None
) -> Answer:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return respond(body, status=status, content_type=content_type, headers=headers)

    return answer


_CUT_PAGE = PodPage()

answer_error = answer_with(b"boom", status=500)
answer_html = answer_with(b"<!doctype html><html><body>Sign in</body></html>", content_type="text/html")
answer_garbage = answer_with(bytes(range(256)) * 64, content_type="application/octet-stream")
answer_json = answer_with(b'{"detail": "Not Found"}', content_type="application/json")
answer_empty = answer_with(b"")


async def answer_reset(request: web.Request) -> web.StreamResponse:
    """Drop the connection instead of answering."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def answer_broken_off(request: web.Request) -> web.StreamResponse:
    """Promise a page and drop the connection in the middle of it."""
    body = PodPage().render()
    response = web.StreamResponse(headers={"Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    assert request.transport is not None
    request.transport.close()
    return response


async def answer_cut(_request: web.Request) -> web.StreamResponse:
    """Answer with a page that ends too early, as if that were all of it; never with the same twice."""
    return respond(_CUT_PAGE.render()[:30_000])


async def answer_dripping(request: web.Request) -> web.StreamResponse:
    """Answer for ever, a line now and then."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"# one more line\n")
        await asyncio.sleep(0.02)


async def answer_endless(request: web.Request) -> web.StreamResponse:
    """Answer for ever, as fast as it goes."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"# one more line\n" * 4096)


async def answer_never(_request: web.Request) -> web.StreamResponse:
    """Take the request and say nothing."""
    await asyncio.Event().wait()
    return web.Response()
