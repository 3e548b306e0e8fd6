"""The HTTP face of the external metrics API. Every answer comes from memory; nothing is decided or computed here.

Authentication and authorization will stand in `build_external_metrics_app` as further middlewares, before the handlers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Middleware

from adapter.clock import Clock
from adapter.errors import BadDocument
from adapter.external_metrics import wire
from adapter.external_metrics.lookup import LookupFailed, find_series, get_labels
from adapter.external_metrics.negotiation import Representation, choose_representation
from adapter.external_metrics.selector import parse_selector
from adapter.store import DecisionStore

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

KEEPALIVE_S = 120.0  # longer than the 90 s for which Go clients keep idle connections
_GROUP_PATH = f"/apis/{wire.GROUP}"
_VERSION_PATH = f"/apis/{wire.GROUP_VERSION}"


def build_external_metrics_app(
    store: DecisionStore,
    clock: Clock,
    max_decision_age_s: float,
    middlewares: Sequence[Middleware] = (),
) -> web.Application:
    """Return the application.

    Parameters
    ----------
    store
        Where the published decisions lie.
    clock
        By which the age of a decision is told.
    max_decision_age_s
        Age beyond which a decision is no longer given out (503) [s].
    middlewares
        Run before the handlers, outermost first, made by `aiohttp.web.middleware`: the place of authentication and
        authorization.
    """
    api = _ExternalMetrics(store, clock, max_decision_age_s)
    app = web.Application(middlewares=[_render_errors, *middlewares])
    app.router.add_get("/apis", api.get_groups, allow_head=False)
    app.router.add_get(_GROUP_PATH, api.get_group, allow_head=False)
    app.router.add_get(_VERSION_PATH, api.get_resources, allow_head=False)
    app.router.add_get(f"{_VERSION_PATH}/namespaces/{{namespace}}/{{metric}}", api.get_metric, allow_head=False)
    app.router.add_get("/livez", api.get_livez, allow_head=False)
    app.router.add_get("/readyz", api.get_readyz, allow_head=False)
    return app


@dataclass(frozen=True, slots=True)
class _ExternalMetrics:
    """The handlers, over one store."""

    store: DecisionStore
    clock: Clock
    max_decision_age_s: float

    async def get_groups(self, request: web.Request) -> web.Response:
        """Answer ``/apis``: the group list, or aggregated discovery with its ETag."""
        chosen = choose_representation(_get_accept(request), discovery=True)
        if chosen is Representation.JSON:
            return _to_response(wire.API_GROUP_LIST, headers={"Vary": "Accept"})
        if chosen is None:
            return _not_acceptable()
        body = json.dumps(wire.to_aggregated_discovery(chosen.value), separators=(",", ":")).encode()
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        headers = {"ETag": etag, "Vary": "Accept", "Cache-Control": "no-cache, private"}
        if etag in (tag.strip() for tag in request.headers.get("If-None-Match", "").split(",")):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        content_type = f"application/json;g=apidiscovery.k8s.io;v={chosen.value};as=APIGroupDiscoveryList"
        return web.Response(body=body, headers={**headers, "Content-Type": content_type})

    async def get_group(self, request: web.Request) -> web.Response:
        """Answer the group path."""
        return _negotiated(request, {"kind": "APIGroup", "apiVersion": "v1", **wire.API_GROUP})

    async def get_resources(self, request: web.Request) -> web.Response:
        """Answer the version path, which is also the availability check."""
        return _negotiated(request, wire.API_RESOURCE_LIST)

    async def get_metric(self, request: web.Request) -> web.Response:
        """Answer the one metric value that HPA asks for."""
        if choose_representation(_get_accept(request)) is None:
            return _not_acceptable()
        if request.query.get("watch", "").lower() in ("true", "1"):
            return _fail(HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", "watch is not supported", {"Allow": "GET"})
        if request.query.get("fieldSelector"):
            return _fail(HTTPStatus.BAD_REQUEST, "BadRequest", "fieldSelector is not supported; use labelSelector")
        metric = request.match_info["metric"]
        try:
            selector = parse_selector(request.query.get("labelSelector", ""))
            series = find_series(self.store.get(), request.match_info["namespace"], metric, selector)
        except BadDocument as problem:
            return _fail(HTTPStatus.BAD_REQUEST, "BadRequest", str(problem))
        except LookupFailed as failure:
            return _fail(failure.code, failure.reason, str(failure))
        age_s = self.clock.now_s() - series.decided_at_s
        if age_s > self.max_decision_age_s:
            return _fail(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "ServiceUnavailable",
                f"the decision about {series.workload.name!r} is {age_s:.0f} s old, "
                f"the limit is {self.max_decision_age_s:.0f} s: {series.variant.reason}",
            )
        item = wire.to_metric_item(metric, get_labels(series), series.decided_at_s, str(series.replicas))
        return _to_response(wire.to_metric_list([item]))

    async def get_livez(self, _request: web.Request) -> web.Response:
        """Answer that the process is alive."""
        return web.Response(text="ok")

    async def get_readyz(self, _request: web.Request) -> web.Response:
        """Answer whether one pass has finished, with whatever outcome."""
        if self.store.get().passes:
            return web.Response(text="ok")
        return web.Response(text="no pass finished yet", status=HTTPStatus.SERVICE_UNAVAILABLE)


def _get_accept(request: web.Request) -> str | None:
    values = request.headers.getall("Accept", [])
    return ",".join(values) if values else None


def _negotiated(request: web.Request, body: wire.Json) -> web.Response:
    return _not_acceptable() if choose_representation(_get_accept(request)) is None else _to_response(body)


def _not_acceptable() -> web.Response:
    return _fail(HTTPStatus.NOT_ACCEPTABLE, "NotAcceptable", "only application/json is served")


def _fail(code: HTTPStatus, reason: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return _to_response(wire.to_status(code, reason, message), code, headers)


def _to_response(
    body: wire.Json, status: HTTPStatus = HTTPStatus.OK, headers: dict[str, str] | None = None
) -> web.Response:
    return web.Response(
        body=json.dumps(body, separators=(",", ":")).encode(),
        status=status,
        headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private", **(headers or {})},
    )


@web.middleware
async def _render_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn the router's own refusals into Status objects, which clients can read."""
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return _fail(HTTPStatus.NOT_FOUND, "NotFound", f"the server has no path {request.path}")
    except web.HTTPMethodNotAllowed:
        message = f"{request.method} is not allowed here"
        return _fail(HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", message, {"Allow": "GET"})
