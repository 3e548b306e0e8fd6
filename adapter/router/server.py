"""The router's HTTP face: inference endpoints, its metrics page and its health; it forwards, and decides nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from adapter.clock import Clock
from adapter.errors import NotFound, Unreachable
from adapter.router.holding import HoldingLimits, HoldingRoom
from adapter.router.page import RouterMetrics
from adapter.router.proxy import Attempt, Proxy
from adapter.router.table import Replica, ReplicaTable
from optimizer import RoutingRule
from optimizer.domain import ModelKey

HELD_HEADER = "X-Held-Seconds"
"""Response header: how long the request was held because nothing was ready, in seconds of the router's clock."""

_ENDPOINTS = ("/v1/completions", "/v1/chat/completions")


@dataclass(frozen=True, slots=True)
class RouterSettings:
    """How the router works.

    Attributes
    ----------
    host, port
        Where it listens; port 0 takes a free one.
    holding
        Bounds of what is held while nothing is ready.
    max_attempts
        Replicas tried for one request before the first byte.
    connect_timeout_s, silence_timeout_s
        Wall time until a connection stands, and between two pieces of an answer [s].
    max_body_bytes
        Largest request taken [bytes].
    """

    host: str = "127.0.0.1"
    port: int = 0
    holding: HoldingLimits = field(default_factory=HoldingLimits)
    max_attempts: int = 3
    connect_timeout_s: float = 5.0
    silence_timeout_s: float = 600.0
    max_body_bytes: int = 32 << 20


class Router:
    """One front door for several LLMs.

    Parameters
    ----------
    settings
        How it works.
    keys
        The LLMs it takes requests for; a request names one in its ``model`` field, and where two namespaces serve the
        same name, the path ``/{namespace}/v1/...`` tells them apart.
    make_rule
        Makes the choice rule of one LLM.
    clock
        Measures how long requests are held.
    """

    def __init__(
        self, settings: RouterSettings, keys: Iterable[ModelKey], make_rule: Callable[[], RoutingRule], clock: Clock
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._tables = {key: ReplicaTable(key, make_rule()) for key in keys}
        self._rooms = {key: HoldingRoom(table, settings.holding) for key, table in self._tables.items()}
        self._metrics = RouterMetrics(self._tables)
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> None:
        """Open the port; `url` is known afterwards."""
        timeout = aiohttp.ClientTimeout(
            total=None, connect=self._settings.connect_timeout_s, sock_read=self._settings.silence_timeout_s
        )
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30.0)
        self._session = aiohttp.ClientSession(timeout=timeout, connector=connector, auto_decompress=False)
        # A handler is cancelled when its client leaves: that is how the replica learns of it.
        self._runner = web.AppRunner(
            self._build_app(), handler_cancellation=True, access_log=None, shutdown_timeout=1.0
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._settings.host, self._settings.port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def stop(self) -> None:
        """Close the port and every connection; harmless when not started."""
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    def update(self, key: ModelKey, replicas: Iterable[Replica]) -> None:
        """Replace the ready replicas of `key`."""
        self._tables[key].update(replicas)

    def count_waiting(self, key: ModelKey) -> int:
        """Return the requests held for `key`."""
        return self._rooms[key].waiting_requests

    def count_in_hand(self, key: ModelKey) -> Mapping[str, int]:
        """Return the requests in hand per ready replica of `key`."""
        table = self._tables[key]
        return {replica.name: table.count_in_hand(replica.name) for replica in table.replicas}

    def _build_app(self) -> web.Application:
        app = web.Application(client_max_size=self._settings.max_body_bytes)
        for endpoint in _ENDPOINTS:
            app.router.add_post(endpoint, self._serve)
            app.router.add_post("/{namespace}" + endpoint, self._serve)
        app.router.add_get("/metrics", self._show_metrics)
        app.router.add_get("/health", self._show_health)
        return app

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        key = self._find_model(body, request.match_info.get("namespace"))
        if isinstance(key, web.Response):
            return key
        self._metrics.count_request(key)
        namespace = request.match_info.get("namespace")
        path = request.path if namespace is None else request.path.removeprefix(f"/{namespace}")
        return await self._hold_and_forward(request, key, Attempt(path, tuple(request.headers.items()), body))

    async def _hold_and_forward(self, request: web.Request, key: ModelKey, attempt: Attempt) -> web.StreamResponse:
        assert self._session is not None
        proxy = Proxy(self._session, self._settings.max_attempts)
        arrived_s, table, held_s = self._clock.now_s(), self._tables[key], 0.0
        while True:
            is_held = not table.replicas
            if not await self._rooms[key].hold():
                self._metrics.count_refused(key)
                return _refuse(503, f"no replica of {key.model_id} is ready", {"Retry-After": "5"})
            held_s = self._clock.now_s() - arrived_s if is_held else held_s
            try:
                forwarded = await proxy.forward(request, attempt, table, {HELD_HEADER: f"{held_s:.6f}"})
            except NotFound:
                continue  # the replica that woke us has gone again
            except Unreachable as failure:
                self._metrics.count_failed(key)
                return _refuse(502, str(failure), {})
            self._metrics.count_retries(key, forwarded.retries)
            return forwarded.response

    def _find_model(self, body: bytes, namespace: str | None) -> ModelKey | web.Response:
        try:
            document = json.loads(body)
        except ValueError:
            return _refuse(400, "the body must be JSON", {})
        model = document.get("model") if isinstance(document, dict) else None
        found = [key for key in self._tables if key.model_id == model and namespace in (None, key.namespace)]
        if len(found) == 1:
            return found[0]
        if found:
            return _refuse(400, f"model {model!r} is served in several namespaces: post to /<namespace>/v1/...", {})
        known = ", ".join(sorted({key.model_id for key in self._tables}))
        return _refuse(404, f"model {model!r} is not served here; known: {known}", {})

    async def _show_metrics(self, _request: web.Request) -> web.Response:
        for key, room in self._rooms.items():
            self._metrics.set_waiting(key, room.waiting_requests)
        return web.Response(body=self._metrics.render(), headers={"Content-Type": "text/plain; version=0.0.4"})

    async def _show_health(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok")


def _refuse(status: int, message: str, headers: dict[str, str]) -> web.Response:
    error = {"error": {"message": message, "type": "router_error", "code": status}}
    return web.json_response(error, status=status, headers=headers)
