"""The running adapter: the controller's loop beside the servers of pages and external metrics, until a signal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from adapter.clock import Clock, read_wall_s
from adapter.compose.parts import ConfiguredParts
from adapter.config.load import ConfigurationWatcher, LoadedConfiguration
from adapter.controller import Controller, StateStore
from adapter.errors import Refused
from adapter.external_metrics.app import KEEPALIVE_S, build_external_metrics_app
from adapter.pages.app import build_pages_app
from adapter.pages.replica_page import ReplicaUnit
from adapter.state_store import FileStateStore, MemoryStateStore
from adapter.store import DecisionStore, StorePublisher
from adapter.telemetry import Telemetry, log_event
from optimizer import decide

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_CLOSE_S = 5.0  # for answers under way when a server closes


@dataclass(frozen=True, slots=True)
class Application:
    """The adapter while it is open.

    Attributes
    ----------
    store
        What is published.
    controller
        What decides; somebody has to run it.
    addresses
        Base URL of each server: ``pages`` and ``external_metrics``.
    draining
        Set it and `/readyz` answers 503, while everything else still answers.
    drain_s
        How long to leave it set before closing [wall s].
    """

    store: DecisionStore
    controller: Controller
    addresses: Mapping[str, str]
    draining: asyncio.Event
    drain_s: float


@asynccontextmanager
async def open_application(path: Path, clock: Clock) -> AsyncIterator[Application]:
    """Yield the adapter configured by the file at `path`, its servers listening, its controller not yet running.

    Raises
    ------
    ConfigurationError
        The configuration cannot be used.
    Refused
        An address cannot be listened on.
    """
    watcher, telemetry, store, draining = ConfigurationWatcher(path), Telemetry(), DecisionStore(), asyncio.Event()
    loaded = watcher.current
    listen, publishing = loaded.configuration.listen, loaded.configuration.publishing
    store.expect(tuple(variant.workload for model in loaded.settings.models for variant in model.variants))
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(ConfiguredParts(watcher, clock, telemetry))
        states = _choose_state_store(loaded)
        controller = Controller(parts, decide, StorePublisher(store), states=states, clock=clock, telemetry=telemetry)
        pages = build_pages_app(store, clock, telemetry, ReplicaUnit(publishing.unit.value))
        metrics = build_external_metrics_app(store, clock, publishing.max_decision_age_s)
        addresses = {}
        for name, app, where in (
            ("pages", pages, listen.pages),
            ("external_metrics", metrics, listen.external_metrics_http),
        ):
            app.middlewares.insert(0, _watch_requests(name, telemetry, draining))
            addresses[name] = await _listen(stack, name, app, (where.host, where.port))
        yield Application(store, controller, addresses, draining, listen.drain_s)


async def serve(path: Path, clock: Clock) -> None:
    """Run the adapter configured by the file at `path` until SIGINT or SIGTERM.

    SIGTERM first makes `/readyz` say no for `listen.drain`, so that whoever balances load looks elsewhere, then closes;
    SIGINT, or a second signal, closes at once.

    Raises
    ------
    ConfigurationError
        The configuration cannot be used.
    Refused
        An address cannot be listened on.
    """
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, signals.put_nowait, number)
    try:
        async with open_application(path, clock) as application, asyncio.TaskGroup() as tasks:
            log_event("started", config=str(path), addresses=application.addresses)
            running = tasks.create_task(application.controller.run())
            await _wait_for_end(signals, application)
            running.cancel()
        log_event("stopped")
    finally:
        for number in _STOP_SIGNALS:
            loop.remove_signal_handler(number)


async def _wait_for_end(signals: asyncio.Queue[signal.Signals], application: Application) -> None:
    first = await signals.get()
    log_event("stopping", signal=first.name)
    if first is signal.SIGTERM:
        application.draining.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(signals.get(), application.drain_s)


def _choose_state_store(loaded: LoadedConfiguration) -> StateStore:
    path = loaded.resolve(loaded.configuration.state.file)
    return MemoryStateStore() if path is None else FileStateStore(path)


def _watch_requests(server: str, telemetry: Telemetry, draining: asyncio.Event) -> Middleware:
    """Return what counts the answers of `server`, and says "not ready" while it is draining."""

    @web.middleware
    async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
        started_s, code = read_wall_s(), int(HTTPStatus.INTERNAL_SERVER_ERROR)
        try:
            if draining.is_set() and request.path == "/readyz":
                response: web.StreamResponse = web.Response(text="stopping", status=HTTPStatus.SERVICE_UNAVAILABLE)
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


async def _listen(stack: AsyncExitStack, name: str, app: web.Application, where: tuple[str, int]) -> str:
    """Serve `app` on host and port until the stack closes; return its base URL."""
    host, port = where
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=KEEPALIVE_S, shutdown_timeout=_CLOSE_S)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as cause:
        # What could not be resolved has a negative number, and its own text.
        why = os.strerror(cause.errno) if cause.errno is not None and cause.errno > 0 else cause.strerror
        raise Refused(f"{name}: cannot listen on {host}:{port}: {why}") from cause
    bound_host, bound_port = runner.addresses[0][:2]
    return f"http://[{bound_host}]:{bound_port}" if ":" in bound_host else f"http://{bound_host}:{bound_port}"
