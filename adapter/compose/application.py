"""The running adapter: its work beside the servers of pages and external metrics, until a signal."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from adapter.clock import Clock
from adapter.compose.cluster import open_cluster_work
from adapter.compose.local import open_local_work
from adapter.compose.servers import Server, listen, watch_requests
from adapter.config.load import ConfigurationWatcher
from adapter.config.schema import Configuration
from adapter.external_metrics.app import build_external_metrics_app
from adapter.external_metrics.security import ApiSecurity
from adapter.pages.app import build_pages_app
from adapter.pages.replica_page import ReplicaUnit
from adapter.policies import load_policies
from adapter.store import DecisionStore
from adapter.telemetry import Telemetry, log_event

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Work(Protocol):
    """What the adapter does beside answering."""

    @property
    def security(self) -> ApiSecurity | None:
        """What stands before the API in a cluster, None where there is none."""
        ...

    async def run(self) -> None:
        """Do it until canceled."""
        ...

    def find_obstacle(self) -> str | None:
        """Return why nobody should ask yet, None when they may."""
        ...


@dataclass(frozen=True, slots=True)
class Application:
    """The adapter while it is open.

    Attributes
    ----------
    store
        What is published.
    work
        What it does beside answering; somebody has to run it.
    addresses
        Base URL of each server: ``pages``, ``external_metrics`` (TLS), ``external_metrics_http``.
    draining
        Set it and `/readyz` answers 503, while everything else still answers.
    drain_s
        How long to leave it set before closing [wall s].
    """

    store: DecisionStore
    work: Work
    addresses: Mapping[str, str]
    draining: asyncio.Event
    drain_s: float

    def find_obstacle(self) -> str | None:
        """Return why this replica should not be asked, None when it may."""
        return "stopping" if self.draining.is_set() else self.work.find_obstacle()


@asynccontextmanager
async def open_application(path: Path, clock: Clock) -> AsyncIterator[Application]:
    """Yield the adapter configured by the file at `path`, its servers listening, its work not yet running.

    Raises
    ------
    ConfigurationError
        The configuration cannot be used.
    Refused
        An address cannot be listened on, there is no cluster to work in, or a policy of a package cannot be loaded.
    """
    watcher, telemetry, store = ConfigurationWatcher(path, load_policies()), Telemetry(), DecisionStore()
    loaded = watcher.current
    store.expect(tuple(variant.workload for model in loaded.settings.models for variant in model.variants))
    async with AsyncExitStack() as stack:
        work = await stack.enter_async_context(_choose_work(watcher, clock, store, telemetry))
        addresses: dict[str, str] = {}
        drain_s = loaded.configuration.listen.drain_s
        application = Application(store, work, addresses, asyncio.Event(), drain_s)
        for server in _list_servers(loaded.configuration, work, store, clock, telemetry):
            counting = watch_requests(server.name, telemetry, application.find_obstacle)
            addresses[server.name] = await listen(stack, server, counting)
        yield application


async def serve(path: Path, clock: Clock) -> None:
    """Run the adapter configured by the file at `path` until SIGINT or SIGTERM.

    SIGTERM first makes `/readyz` say no for `listen.drain`, so that whoever balances load looks elsewhere, then closes;
    SIGINT, or a second signal, closes at once.

    Raises
    ------
    ConfigurationError
        The configuration cannot be used.
    Refused
        An address cannot be listened on, there is no cluster to work in, or a policy of a package cannot be loaded.
    """
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, signals.put_nowait, number)
    try:
        async with open_application(path, clock) as application, asyncio.TaskGroup() as tasks:
            log_event("started", config=str(path), addresses=application.addresses)
            running = tasks.create_task(application.work.run())
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


def _choose_work(
    watcher: ConfigurationWatcher, clock: Clock, store: DecisionStore, telemetry: Telemetry
) -> AbstractAsyncContextManager[Work]:
    if watcher.current.configuration.is_clustered:
        return open_cluster_work(watcher, clock, store, telemetry)
    return open_local_work(watcher, clock, store, telemetry)


def _list_servers(
    configuration: Configuration, work: Work, store: DecisionStore, clock: Clock, telemetry: Telemetry
) -> list[Server]:
    """Return the pages, and the external metrics API as far as it is served, in TLS and without."""
    listen, publishing = configuration.listen, configuration.publishing
    pages = build_pages_app(store, clock, telemetry, ReplicaUnit(publishing.unit.value))
    servers = [Server("pages", pages, listen.pages.host, listen.pages.port)]
    where = configuration.get_external_metrics()
    if work.security is not None and where is not None:
        app = build_external_metrics_app(
            store, clock, publishing.max_decision_age_s, work.security.middlewares, work.security.checks
        )
        servers.append(Server("external_metrics", app, where.host, where.port, work.security.ssl_context))
    plain = configuration.get_external_metrics_http()
    if plain is not None:
        app = build_external_metrics_app(store, clock, publishing.max_decision_age_s)
        servers.append(Server("external_metrics_http", app, plain.host, plain.port))
    return servers
