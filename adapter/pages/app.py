"""The plain HTTP server of the pages: every answer is rendered from the store. It decides nothing and asks nobody."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web
from prometheus_client import generate_latest

from adapter.clock import Clock
from adapter.pages.decisions_json import to_json
from adapter.pages.fleet_metrics import FleetMetrics
from adapter.pages.observed_json import render_traffic
from adapter.pages.replica_page import ReplicaUnit, render_replica_page
from adapter.store import DecisionStore, Series
from adapter.telemetry import Telemetry

_TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_INDEX = """variant autoscaler

/metrics                            replicas of every deployment, and our own metrics (Prometheus)
/metrics/{namespace}/{deployment}   replicas of one deployment (vllm:deployment_replicas)
/v1/decisions                       every decision with its figures and reasons (JSON);
                                    ?namespace=NAME&model=NAME narrows
/livez, /readyz                     health
"""


def build_pages_app(
    store: DecisionStore, clock: Clock, telemetry: Telemetry, unit: ReplicaUnit = ReplicaUnit.REPLICAS
) -> web.Application:
    """Return the application.

    Parameters
    ----------
    store
        Where the published decisions lie.
    clock
        By which ages are told.
    telemetry
        Our own metrics, shown beside the decisions.
    unit
        In what ``/metrics/{namespace}/{deployment}`` counts.
    """
    telemetry.registry.register(FleetMetrics(store, clock))
    pages = _Pages(store, clock, telemetry, unit)
    app = web.Application()
    app.router.add_get("/", pages.get_index)
    app.router.add_get("/metrics", pages.get_metrics)
    app.router.add_get("/metrics/{namespace}/{deployment}", pages.get_replicas)
    app.router.add_get("/v1/decisions", pages.get_decisions)
    app.router.add_get("/livez", pages.get_livez)
    app.router.add_get("/readyz", pages.get_readyz)
    return app


@dataclass(frozen=True, slots=True)
class _Pages:
    """The handlers, over one store."""

    store: DecisionStore
    clock: Clock
    telemetry: Telemetry
    unit: ReplicaUnit

    async def get_index(self, _request: web.Request) -> web.Response:
        """Answer what there is to see."""
        return web.Response(text=_INDEX)

    async def get_metrics(self, _request: web.Request) -> web.Response:
        """Answer all decisions and our own metrics."""
        return web.Response(body=generate_latest(self.telemetry.registry), headers={"Content-Type": _TEXT_TYPE})

    async def get_replicas(self, request: web.Request) -> web.Response:
        """Answer the number of one workload; ``?kind=`` tells workloads of one name apart (a Deployment goes first)."""
        namespace, name = request.match_info["namespace"], request.match_info["deployment"]
        publication = self.store.get()
        found = [
            series
            for series in publication.get_series(namespace, name)
            if series.workload.name == name and request.query.get("kind", series.workload.kind) == series.workload.kind
        ]
        acting = [series for series in found if not series.is_shadow]
        if found and not acting:
            return _fail(HTTPStatus.SERVICE_UNAVAILABLE, f"{namespace}/{name} is in shadow: {found[0].variant.reason}")
        obstacle = self.store.find_obstacle()
        if acting and obstacle is not None:
            return _fail(HTTPStatus.SERVICE_UNAVAILABLE, f"{namespace}/{name}: {obstacle}")
        if acting:
            page = render_replica_page(min(acting, key=_get_rank), self.unit)
            return web.Response(body=page.encode(), headers={"Content-Type": _TEXT_TYPE})
        if any((workload.namespace, workload.name) == (namespace, name) for workload in publication.undecided):
            return _fail(HTTPStatus.SERVICE_UNAVAILABLE, f"no decision yet about {namespace}/{name}")
        return _fail(HTTPStatus.NOT_FOUND, f"{namespace}/{name} is not a variant of any model")

    async def get_decisions(self, request: web.Request) -> web.Response:
        """Answer the decisions with their figures and reasons."""
        namespace, model_id, now_s = request.query.get("namespace"), request.query.get("model"), self.clock.now_s()
        publication = self.store.get()
        traffic = {entry.key: entry for entry in publication.traffic}
        models = [
            {**to_json(model, now_s), "observed": render_traffic(traffic.get(model.key), now_s)}
            for model in publication.models
            if namespace in (None, model.key.namespace) and model_id in (None, model.key.model_id)
        ]
        undecided = [
            {"namespace": workload.namespace, "kind": workload.kind, "deployment": workload.name}
            for workload in publication.undecided
        ]
        body = {"time_s": now_s, "passes": publication.passes, "models": models, "undecided": undecided}
        return web.json_response(body, dumps=lambda value: json.dumps(value, allow_nan=False))

    async def get_livez(self, _request: web.Request) -> web.Response:
        """Answer that the process is alive."""
        return web.Response(text="ok")

    async def get_readyz(self, _request: web.Request) -> web.Response:
        """Answer whether one pass has finished, with whatever outcome."""
        if self.store.get().passes:
            return web.Response(text="ok")
        return web.Response(text="no pass finished yet", status=HTTPStatus.SERVICE_UNAVAILABLE)


def _get_rank(series: Series) -> tuple[bool, str]:
    return series.workload.kind != "Deployment", series.workload.kind


def _fail(status: HTTPStatus, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)
