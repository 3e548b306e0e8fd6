"""How every answer leaves: JSON bodies, Status objects for refusals, the refusals themselves. It decides nothing."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from aiohttp import web

from adapter.external_metrics import wire

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_REASONS = {
    HTTPStatus.BAD_REQUEST: "BadRequest",
    HTTPStatus.UNAUTHORIZED: "Unauthorized",
    HTTPStatus.FORBIDDEN: "Forbidden",
    HTTPStatus.NOT_FOUND: "NotFound",
    HTTPStatus.METHOD_NOT_ALLOWED: "MethodNotAllowed",
    HTTPStatus.NOT_ACCEPTABLE: "NotAcceptable",
    HTTPStatus.TOO_MANY_REQUESTS: "TooManyRequests",
    HTTPStatus.INTERNAL_SERVER_ERROR: "InternalError",
    HTTPStatus.SERVICE_UNAVAILABLE: "ServiceUnavailable",
}
_HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-cache, private"}


class StatusError(Exception):
    """A request that gets no answer but a Status; its message is what the event of an HPA shows.

    Parameters
    ----------
    code
        HTTP status; the reason of the Status follows from it.
    message
        One sentence, with names of the caller's own namespace only.
    headers
        Sent along; never ``Retry-After``, which Go clients obey inside one of HPA's few workers.
    """

    def __init__(self, code: HTTPStatus, message: str, headers: Mapping[str, str] | None = None) -> None:
        self.code, self.headers = code, headers
        super().__init__(message)


def render_json(
    body: wire.Json, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return the response that carries `body`."""
    return web.Response(
        body=json.dumps(body, separators=(",", ":")).encode(), status=status, headers={**_HEADERS, **(headers or {})}
    )


def render_status(code: HTTPStatus, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return the response that carries a failed Status."""
    return render_json(wire.to_status(code, _REASONS.get(code, ""), message), code, headers)


def render_error(error: StatusError) -> web.Response:
    """Return the response for `error`.

    After a 401 the connection ends. What its other end can prove was settled when it began, be it before we knew whom
    to believe: an API server that goes on with it would be refused for as long as it lasts.
    """
    response = render_status(error.code, str(error), error.headers)
    if error.code is HTTPStatus.UNAUTHORIZED:
        response.force_close()
    return response
