"""The HTTP face of the external metrics API. Every answer comes from memory; nothing is decided or computed here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Middleware

from adapter.clock import Clock
from adapter.errors import BadDocument
from adapter.external_metrics import openapi, wire
from adapter.external_metrics.answers import StatusError, render_json
from adapter.external_metrics.lookup import find_series, get_labels
from adapter.external_metrics.middlewares import limit_time, render_errors
from adapter.external_metrics.negotiation import Representation, choose_representation
from adapter.external_metrics.selector import parse_selector
from adapter.store import DecisionStore, Series

Check = Callable[[], str | None]
"""Returns what is missing for being ready, None when nothing is."""

KEEPALIVE_S = 120.0  # longer than the 90 s for which Go clients keep idle connections
_GROUP_PATH = f"/apis/{wire.GROUP}"
_VERSION_PATH = f"/apis/{wire.GROUP_VERSION}"


def build_external_metrics_app(
    store: DecisionStore,
    clock: Clock,
    max_decision_age_s: float,
    middlewares: Sequence[Middleware] = (),
    checks: Sequence[Check] = (),
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
        Run before the handlers, outermost first, made by `aiohttp.web.middleware`: the place of `build_guard`. Without
        any, everybody may read everything.
    checks
        What else has to be there before ``/readyz`` says ok.
    """
    api = _ExternalMetrics(store, clock, max_decision_age_s, tuple(checks))
    app = web.Application(middlewares=[render_errors, *middlewares, limit_time()])
    app.router.add_get("/apis", api.get_groups, allow_head=False)
    app.router.add_get(_GROUP_PATH, api.get_group, allow_head=False)
    app.router.add_get(_VERSION_PATH, api.get_resources, allow_head=False)
    app.router.add_get(f"{_VERSION_PATH}/namespaces/{{namespace}}/{{metric}}", api.get_metric, allow_head=False)
    app.router.add_get("/openapi/v3", api.get_openapi_index, allow_head=False)
    app.router.add_get(openapi.PATH, api.get_openapi, allow_head=False)
    app.router.add_get("/livez", api.get_livez, allow_head=False)
    app.router.add_get("/readyz", api.get_readyz, allow_head=False)
    return app


@dataclass(frozen=True, slots=True)
class _ExternalMetrics:
    """The handlers, over one store."""

    store: DecisionStore
    clock: Clock
    max_decision_age_s: float
    checks: tuple[Check, ...]

    async def get_groups(self, request: web.Request) -> web.Response:
        """Answer ``/apis``: the group list, or aggregated discovery with its ETag."""
        chosen = choose_representation(_get_accept(request), discovery=True)
        if chosen is None:
            raise _not_acceptable()
        if chosen is Representation.JSON:
            return render_json(wire.API_GROUP_LIST, headers={"Vary": "Accept"})
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

    async def get_openapi_index(self, _request: web.Request) -> web.Response:
        """Answer where our OpenAPI document is."""
        return render_json(openapi.INDEX)

    async def get_openapi(self, request: web.Request) -> web.Response:
        """Answer our OpenAPI document."""
        return _negotiated(request, openapi.DOCUMENT)

    async def get_metric(self, request: web.Request) -> web.Response:
        """Answer the one metric value that HPA asks for."""
        if choose_representation(_get_accept(request)) is None:
            raise _not_acceptable()
        if request.query.get("watch", "").lower() in ("true", "1"):
            raise StatusError(HTTPStatus.METHOD_NOT_ALLOWED, "watch is not supported", {"Allow": "GET"})
        if request.query.get("fieldSelector"):
            raise StatusError(HTTPStatus.BAD_REQUEST, "fieldSelector is not supported; use labelSelector")
        metric = request.match_info["metric"]
        try:
            selector = parse_selector(request.query.get("labelSelector", ""))
        except BadDocument as problem:
            raise StatusError(HTTPStatus.BAD_REQUEST, str(problem)) from problem
        series = find_series(self.store.get(), request.match_info["namespace"], metric, selector)
        self._check_may_act(series)
        item = wire.to_metric_item(metric, get_labels(series), series.decided_at_s, str(series.replicas))
        return render_json(wire.to_metric_list([item]))

    def _check_may_act(self, series: Series) -> None:
        """Refuse a number that nobody should act on: we may not know the newest, it is too old, or in shadow."""
        obstacle = self.store.find_obstacle()
        if obstacle is not None:
            raise StatusError(HTTPStatus.SERVICE_UNAVAILABLE, f"{series.workload.name!r}: {obstacle}")
        age_s, override = self.clock.now_s() - series.decided_at_s, series.variant.override
        if age_s > self.max_decision_age_s:
            raise StatusError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"the decision about {series.workload.name!r} is {age_s:.0f} s old, "
                f"the limit is {self.max_decision_age_s:.0f} s: {series.variant.reason}",
            )
        if series.is_shadow and override is not None:
            signed = f", by {override.by}" if override.by else ""
            raise StatusError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{series.workload.name!r} is in shadow ({override.source}{signed}): "
                "what is decided about it is shown on the pages, and given to nobody to act on",
            )

    async def get_livez(self, _request: web.Request) -> web.Response:
        """Answer that the process is alive."""
        return web.Response(text="ok")

    async def get_readyz(self, _request: web.Request) -> web.Response:
        """Answer whether one pass has finished, with whatever outcome, and everything else is there."""
        missing = [what for check in self.checks if (what := check()) is not None]
        if not self.store.get().passes:
            missing.append("no pass finished yet")
        if not missing:
            return web.Response(text="ok")
        return web.Response(text="\n".join(missing), status=HTTPStatus.SERVICE_UNAVAILABLE)


def _get_accept(request: web.Request) -> str | None:
    values = request.headers.getall("Accept", [])
    return ",".join(values) if values else None


def _negotiated(request: web.Request, body: wire.Json) -> web.Response:
    if choose_representation(_get_accept(request)) is None:
        raise _not_acceptable()
    return render_json(body)


def _not_acceptable() -> StatusError:
    return StatusError(HTTPStatus.NOT_ACCEPTABLE, "only application/json is served")
