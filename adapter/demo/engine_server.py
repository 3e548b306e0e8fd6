"""A replica: a token engine behind a real HTTP server, with the metrics page of vLLM or SGLang.

It takes an address, an engine and a clock; it knows neither routers, load, HPA nor clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aiohttp import web
from aiohttp.typedefs import Handler

from adapter.clock import Clock
from adapter.demo.completion import CompletionRequest, decode_request, render_error
from adapter.demo.engine_runner import EngineRunner
from adapter.demo.engine_settings import EngineSettings, Lag
from adapter.demo.pages import HttpCounts, Visit
from adapter.errors import BadDocument
from optimizer.simulation import EndedRequest

__all__ = ["EngineServer", "EngineSettings", "Lag"]

LONGEST_BODY_BYTES = 32 << 20
STOP_WALL_S = 0.01  # for requests in progress to end by themselves when the server stops


class EngineServer:
    """One replica on a loopback address.

    Endpoints: ``/metrics``, ``/health``, ``/version``, ``/v1/models``, ``POST /v1/completions``; all answer 503 before
    `ready_s`. Answers carry the times of the request in the engine (``engine_time``) beside its usage.

    Parameters
    ----------
    settings
        The engine.
    clock
        Engine time.
    host, port
        Where to listen; port 0 takes any free one.
    ready_s
        When it begins to serve [s]; None means at once.
    on_end
        Called with the record of every request that finished, was rejected, or whose client left.
    """

    def __init__(
        self,
        settings: EngineSettings,
        clock: Clock,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        ready_s: float | None = None,
        on_end: Callable[[EndedRequest], None] | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._host, self._port = host, port
        started_s = clock.now_s()
        self._ready_s = started_s if ready_s is None else ready_s
        self._http = HttpCounts()
        self._engine_runner = EngineRunner(settings, clock, self._http, self._ready_s, on_end or _ignore)
        self._web_runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen; `url` is valid afterwards.

        Raises
        ------
        OSError
            When the address cannot be had.
        """
        app = web.Application(middlewares=[self._refuse_while_starting], client_max_size=LONGEST_BODY_BYTES)
        app.router.add_get("/metrics", self._answer_metrics)
        app.router.add_get("/health", self._answer_health)
        app.router.add_get("/version", self._answer_version)
        app.router.add_get("/v1/models", self._answer_models)
        app.router.add_post("/v1/completions", self._answer_completion)
        self._web_runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=STOP_WALL_S)
        await self._web_runner.setup()
        await web.TCPSite(self._web_runner, self._host, self._port).start()
        self._port = int(self._web_runner.addresses[0][1])
        self._engine_runner.start()

    async def stop(self) -> None:
        """Stop listening and drop every connection; does nothing the second time."""
        runner, self._web_runner = self._web_runner, None
        if runner is not None:
            await runner.cleanup()
            await self._engine_runner.stop()

    @property
    def url(self) -> str:
        """Base address, such as ``http://127.0.0.1:9001``."""
        return f"http://{self._host}:{self._port}"

    @property
    def is_ready(self) -> bool:
        """Whether it serves."""
        return self._clock.now_s() >= self._ready_s

    @property
    def running_requests(self) -> int:
        """Requests in the batch."""
        return self._engine_runner.engine.running_requests

    @property
    def waiting_requests(self) -> int:
        """Requests queued; running + waiting is 0 when drained."""
        return self._engine_runner.engine.waiting_requests

    def take_lag(self) -> Lag:
        """Return how late the server woke since the last call, and begin anew."""
        return self._engine_runner.take_lag()

    @web.middleware
    async def _refuse_while_starting(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        return await handler(request) if self.is_ready else _refuse(503, "ServiceUnavailable", "starting")

    @contextmanager
    def _visit(self, request: web.Request) -> Iterator[Visit]:
        """Count a request: when it comes, when its answer begins, and when that ends or the client leaves."""
        visit = Visit(request.path, request.method, self._clock.now_s(), request.content_length or 0)
        self._http.arrive(visit)
        try:
            yield visit
        finally:
            self._http.end(visit, self._clock.now_s())

    async def _answer_metrics(self, request: web.Request) -> web.Response:
        if not self._engine_runner.page.counts_scrapes:
            return self._render_page()
        with self._visit(request) as visit:
            response = self._render_page()
            self._http.answer(visit, response.status, response.content_length or 0)
        return response

    def _render_page(self) -> web.Response:
        page = self._engine_runner.page
        return web.Response(body=page.render().encode(), headers={"Content-Type": page.content_type})

    async def _answer_health(self, _: web.Request) -> web.Response:
        return web.Response()

    async def _answer_version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": self._settings.version})

    async def _answer_models(self, request: web.Request) -> web.Response:
        settings = self._settings
        model = {
            "id": settings.model_name,
            "object": "model",
            "created": int(self._ready_s),
            "owned_by": settings.engine,
            "max_model_len": settings.context_tokens,
        }
        with self._visit(request) as visit:
            response = web.json_response({"object": "list", "data": [model]})
            self._http.answer(visit, response.status, response.content_length or 0)
        return response

    async def _answer_completion(self, request: web.Request) -> web.StreamResponse:
        with self._visit(request) as visit:
            try:
                body = await request.read()
                asked = decode_request(body, self._settings.model_name, self._settings.context_tokens)
            except BadDocument as refusal:
                response = _refuse(400, "BadRequestError", str(refusal))
            else:
                if asked.is_streaming:
                    return await self._stream(request, visit, asked)
                response = await self._complete(asked)
            self._http.answer(visit, response.status, response.content_length or 0)
            return response

    async def _stream(self, request: web.Request, visit: Visit, asked: CompletionRequest) -> web.StreamResponse:
        with self._engine_runner.exchange(asked) as exchange:
            if exchange is None:
                response = _refuse_full()
                self._http.answer(visit, response.status, response.content_length or 0)
                return response
            self._http.answer(visit, 200, 0)
            return await exchange.stream(request)

    async def _complete(self, asked: CompletionRequest) -> web.Response:
        with self._engine_runner.exchange(asked) as exchange:
            return _refuse_full() if exchange is None else web.json_response(await exchange.wait())


def _refuse(status: int, kind: str, message: str) -> web.Response:
    return web.json_response(render_error(status, kind, message), status=status)


def _refuse_full() -> web.Response:
    return _refuse(503, "ServiceUnavailable", "the queue is full, try again later")


def _ignore(_: EndedRequest) -> None:
    """Do nothing with the record of a request."""
