"""Servers on our own addresses: listening, counting answers, saying "not ready" while draining. They answer nothing."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from adapter.clock import read_wall_s
from adapter.errors import Refused
from adapter.external_metrics.app import KEEPALIVE_S
from adapter.telemetry import Telemetry

_CLOSE_S = 5.0  # for answers under way when a server closes


def watch_requests(server: str, telemetry: Telemetry, find_obstacle: Callable[[], str | None]) -> Middleware:
    """Return what counts the answers of `server`, and lets `/readyz` say no while `find_obstacle` tells why."""

    @web.middleware
    async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
        started_s, code = read_wall_s(), int(HTTPStatus.INTERNAL_SERVER_ERROR)
        try:
            obstacle = find_obstacle() if request.path == "/readyz" else None
            if obstacle is not None:
                response: web.StreamResponse = web.Response(text=obstacle, status=HTTPStatus.SERVICE_UNAVAILABLE)
            else:
                response = await handler(request)
            code = response.status
            return response
        except web.HTTPException as answer:
            code = answer.status
            raise
        finally:
            telemetry.count_request(server, code, read_wall_s() - started_s)

    return watch


@dataclass(frozen=True, slots=True)
class Server:
    """An application and where it listens, in TLS where a context is given."""

    name: str
    app: web.Application
    host: str
    port: int
    ssl_context: ssl.SSLContext | None = None


async def listen(stack: AsyncExitStack, server: Server, counting: Middleware) -> str:
    """Serve until the stack closes, `counting` around every answer; return the base URL.

    Raises
    ------
    Refused
        The address cannot be listened on.
    """
    host, port, ssl_context = server.host, server.port, server.ssl_context
    server.app.middlewares.insert(0, counting)
    runner = web.AppRunner(server.app, access_log=None, keepalive_timeout=KEEPALIVE_S, shutdown_timeout=_CLOSE_S)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, host, port, ssl_context=ssl_context).start()
    except OSError as cause:
        # What could not be resolved has a negative number, and its own text.
        why = os.strerror(cause.errno) if cause.errno is not None and cause.errno > 0 else cause.strerror
        raise Refused(f"{server.name}: cannot listen on {host}:{port}: {why}") from cause
    bound_host, bound_port = runner.addresses[0][:2]
    scheme, shown = "http" if ssl_context is None else "https", f"[{bound_host}]" if ":" in bound_host else bound_host
    return f"{scheme}://{shown}:{bound_port}"
