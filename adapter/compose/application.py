"""The running adapter: the controller's loop beside the servers of pages and external metrics, until a signal."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from adapter.clock import Clock
from adapter.compose.parts import ConfiguredParts
from adapter.compose.servers import listen, watch_requests
from adapter.config.load import ConfigurationWatcher, LoadedConfiguration
from adapter.controller import Controller, StateStore
from adapter.external_metrics.app import build_external_metrics_app
from adapter.pages.app import build_pages_app
from adapter.pages.replica_page import ReplicaUnit
from adapter.state_store import FileStateStore, MemoryStateStore
from adapter.store import DecisionStore, StorePublisher
from adapter.telemetry import Telemetry, log_event
from optimizer import decide

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Application:
    """The adapter while it is open.

    Attributes
    ----------
    store
        What is published.
    controller
        What decides.
    run
        Lets it decide, and keeps everything in step until it is canceled; somebody has to run it.
    addresses
        Base URL of each server: ``pages`` and ``external_metrics``.
    draining
        Set it and `/readyz` answers 503, while everything else still answers.
    drain_s
        How long to leave it set before closing [wall s].
    """

    store: DecisionStore
    controller: Controller
    run: Callable[[], Coroutine[Any, Any, None]]
    addresses: Mapping[str, str]
    draining: asyncio.Event
    drain_s: float


@asynccontextmanager
async def open_application(path: Path, clock: Clock) -> AsyncIterator[Application]:
    """Yield the adapter configured by the file at `path`, its servers listening, its work not yet running.

    Raises
    ------
    ConfigurationError
        The configuration cannot be used.
    Refused
        An address cannot be listened on.
    """
    watcher, telemetry, store, draining = ConfigurationWatcher(path), Telemetry(), DecisionStore(), asyncio.Event()
    loaded = watcher.current
    configured, publishing = loaded.configuration.listen, loaded.configuration.publishing
    store.expect(tuple(variant.workload for model in loaded.settings.models for variant in model.variants))
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(ConfiguredParts(watcher, clock, telemetry))
        states = _choose_state_store(loaded)
        controller = Controller(parts, decide, StorePublisher(store), states=states, clock=clock, telemetry=telemetry)
        pages = build_pages_app(store, clock, telemetry, ReplicaUnit(publishing.unit.value))
        metrics = build_external_metrics_app(store, clock, publishing.max_decision_age_s)
        addresses = {}
        find_obstacle = partial(_find_obstacle, draining)
        for name, app, where in (
            ("pages", pages, configured.pages),
            ("external_metrics", metrics, configured.external_metrics_http),
        ):
            app.middlewares.insert(0, watch_requests(name, telemetry, find_obstacle))
            addresses[name] = await listen(stack, name, app, (where.host, where.port))
        yield Application(store, controller, controller.run, addresses, draining, configured.drain_s)


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
            running = tasks.create_task(application.run())
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


def _find_obstacle(draining: asyncio.Event) -> str | None:
    """Return why this replica should not be asked, None when it may."""
    return "stopping" if draining.is_set() else None


def _choose_state_store(loaded: LoadedConfiguration) -> StateStore:
    path = loaded.resolve(loaded.configuration.state.file)
    return MemoryStateStore() if path is None else FileStateStore(path)
