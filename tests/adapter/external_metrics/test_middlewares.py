"""Mistakes and endless handlers end in Status objects that clients can read."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler
from pytest_aiohttp.plugin import AiohttpClient

from adapter.external_metrics.middlewares import limit_time, render_errors
from tests.builders.captured_log import capture_log


async def answer_mistaken(_request: web.Request) -> web.StreamResponse:
    raise KeyError("secret detail")


async def answer_never(_request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    return web.Response()


async def answer_too_large(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPRequestEntityTooLarge(max_size=1, actual_size=2)


@pytest.mark.parametrize(
    "handler, code, reason, words",
    [
        (answer_mistaken, 500, "InternalError", "made a mistake"),
        (answer_never, 503, "ServiceUnavailable", "no answer within 0.02 s"),
        (answer_too_large, 413, "", "Too Large"),
    ],
)
async def test_every_failure_is_a_status(
    aiohttp_client: AiohttpClient, handler: Handler, code: int, reason: str, words: str
) -> None:
    app = web.Application(middlewares=[render_errors, limit_time(0.02)])
    app.router.add_get("/", handler)
    client = await aiohttp_client(app)
    with capture_log() as log:
        async with client.get("/") as response:
            body = await response.json()
            assert (response.status, body["kind"], body["code"], body["reason"]) == (code, "Status", code, reason)
            assert words in body["message"]
            assert "secret" not in body["message"]
            assert "Retry-After" not in response.headers
    assert bool(log.read("request_failed")) == (code == 500)
