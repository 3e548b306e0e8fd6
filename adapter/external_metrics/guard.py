"""The middleware before the handlers: who asks, and whether they may. It reads requests, and answers none itself."""

from __future__ import annotations

from urllib.parse import unquote

from aiohttp import web
from aiohttp.typedefs import Middleware

from adapter.external_metrics.answers import Handler
from adapter.external_metrics.authentication import Authenticator
from adapter.external_metrics.authorization import OPEN_PATHS, check_access, to_access
from adapter.external_metrics.reviews import Access, Reviews


def build_guard(authenticator: Authenticator, reviews: Reviews) -> Middleware:
    """Return the middleware that lets only those requests through that `reviews` allow."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in OPEN_PATHS:
            return await handler(request)
        user = await authenticator.identify(request.headers, _get_certificate(request))
        await check_access(reviews, user, _get_access(request))
        kept = authenticator.strip(request.headers)
        return await handler(request if kept is None else request.clone(headers=kept))

    return guard


def _get_certificate(request: web.Request) -> bytes | None:
    """Return the certificate [DER] that the other end of the connection proved to hold the key of."""
    tls = request.get_extra_info("ssl_object")
    certificate: bytes | None = None if tls is None else tls.getpeercert(binary_form=True)
    return certificate


def _get_access(request: web.Request) -> Access:
    parts = [unquote(part) for part in request.rel_url.raw_parts[1:] if part]
    is_watch = request.query.get("watch", "").lower() in ("true", "1")
    return to_access(request.method, request.path, parts, request.match_info, is_watch=is_watch)
