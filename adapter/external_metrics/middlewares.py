"""What stands around every handler: failures become Status objects, and nobody waits long. It knows no store."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Middleware

from adapter.external_metrics.answers import Handler, StatusError, render_error, render_status
from adapter.telemetry import log_event

DEADLINE_S = 1.0
"""Longest time of a handler [s]: HPA has five workers in the whole cluster, a slow answer keeps one of them."""

# What a mistake of ours raises. Cancellation is none, and what stands for an answer is handled before.
_MISTAKES = (ArithmeticError, AssertionError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)


@web.middleware
async def render_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn refusals, the router's own ones and mistakes of ours into Status objects, which clients can read."""
    try:
        return await handler(request)
    except StatusError as error:
        return render_error(error)
    except web.HTTPNotFound:
        return render_status(HTTPStatus.NOT_FOUND, f"the server has no path {request.path}")
    except web.HTTPMethodNotAllowed:
        return render_status(HTTPStatus.METHOD_NOT_ALLOWED, f"{request.method} is not allowed here", {"Allow": "GET"})
    except web.HTTPException as answer:
        return render_status(HTTPStatus(answer.status), answer.reason)
    except _MISTAKES as mistake:
        log_event("request_failed", level="error", exception=mistake, path=request.path)
        return render_status(HTTPStatus.INTERNAL_SERVER_ERROR, "the server made a mistake; its log says which")


def limit_time(deadline_s: float = DEADLINE_S) -> Middleware:
    """Return what gives up on a handler after `deadline_s` [s] with 503."""

    @web.middleware
    async def limit(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            async with asyncio.timeout(deadline_s):
                return await handler(request)
        except TimeoutError as cause:
            message = f"no answer within {deadline_s:g} s"
            raise StatusError(HTTPStatus.SERVICE_UNAVAILABLE, message) from cause

    return limit
