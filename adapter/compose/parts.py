"""The parts of a pass, kept in step with the configuration file: built anew where it changed, left alone where not.

It looks at the file when a pass begins, so nothing is swapped while a pass runs.
"""

from __future__ import annotations

from contextlib import AsyncExitStack

import aiohttp

from adapter.clock import Clock
from adapter.collector import Collector
from adapter.compose.options import to_collector_options, to_static_urls
from adapter.config.load import ConfigurationWatcher, LoadedConfiguration
from adapter.config.schema import DiscoveryKind
from adapter.controller import InventorySource, Parts
from adapter.discovery import HttpDiscovery, LastGoodDiscovery, StaticDiscovery
from adapter.errors import ConfigurationError
from adapter.telemetry import Telemetry, log_event

_AT_NEXT_START = ("listen", "publishing", "state")


class ConfiguredParts:
    """Gives the parts of each pass; use it as an async context manager.

    A change that cannot be used is reported once and changes nothing.
    """

    def __init__(self, watcher: ConfigurationWatcher, clock: Clock, telemetry: Telemetry) -> None:
        self._watcher, self._clock, self._telemetry = watcher, clock, telemetry
        self._started = watcher.current.configuration
        self._collector_stack, self._discovery_stack = AsyncExitStack(), AsyncExitStack()
        self._collector: Collector | None = None
        self._discovery_options: object = None
        self._parts: Parts | None = None

    async def __aenter__(self) -> ConfiguredParts:
        """Build the first parts.

        Raises
        ------
        ConfigurationError
            When what the configuration refers to cannot be used.
        """
        await self._apply(self._watcher.current)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Let go of all connections."""
        await self._collector_stack.aclose()
        await self._discovery_stack.aclose()

    async def get_parts(self) -> Parts:
        """Return the parts for the next pass, after a look at the configuration file."""
        try:
            changed = self._watcher.poll()
            if changed is not None:
                await self._apply(changed)
                self._report_applied(changed)
        except ConfigurationError as refusal:
            self._telemetry.count_reload(applied=False)
            log_event("configuration_refused", level="error", problems=list(refusal.problems))
        if self._parts is None:
            raise RuntimeError("use `async with ConfiguredParts(...)`")
        return self._parts

    def _report_applied(self, loaded: LoadedConfiguration) -> None:
        self._telemetry.count_reload(applied=True)
        waiting = [
            name for name in _AT_NEXT_START if getattr(loaded.configuration, name) != getattr(self._started, name)
        ]
        log_event("configuration_applied", models=len(loaded.settings.models), at_next_start=waiting)

    async def _apply(self, loaded: LoadedConfiguration) -> None:
        collector, inventory = await self._renew_collector(loaded), await self._renew_discovery(loaded)
        self._parts = Parts(loaded.settings, inventory, collector)

    async def _renew_collector(self, loaded: LoadedConfiguration) -> Collector:
        """Return the collector, told what `loaded` says; it keeps what it knows of the pods that stay."""
        options = to_collector_options(loaded)
        try:
            if self._collector is None:
                collector = Collector(options, self._clock, self._telemetry)
                self._collector = await self._collector_stack.enter_async_context(collector)
            else:
                self._collector.reconfigure(options)
        except OSError as cause:  # among them ssl.SSLError
            raise ConfigurationError((f"collection.tls.ca_file cannot be used: {cause}",)) from cause
        return self._collector

    async def _renew_discovery(self, loaded: LoadedConfiguration) -> InventorySource:
        discovery, urls = loaded.configuration.discovery, to_static_urls(loaded)
        options = (discovery, urls if discovery.kind is DiscoveryKind.STATIC else None)
        if self._parts is not None and options == self._discovery_options:
            return self._parts.inventory
        stack = AsyncExitStack()
        source: InventorySource = StaticDiscovery(urls)
        if discovery.kind is DiscoveryKind.HTTP and discovery.url is not None:
            session = await stack.enter_async_context(aiohttp.ClientSession())
            source = HttpDiscovery(session, discovery.url, discovery.timeout_s)
        await self._discovery_stack.aclose()
        self._discovery_stack, self._discovery_options = stack, options
        return LastGoodDiscovery(source)
