"""The parts of a pass, kept in step with the configuration file: built anew where it changed, left alone where not.

It looks at the file when a pass begins, so nothing is swapped while a pass runs.
"""

from __future__ import annotations

import aiohttp

from adapter.clock import Clock
from adapter.collector import Collector
from adapter.compose.configuration_poll import ConfigurationPoll, blame_ca_file
from adapter.compose.options import to_collector_options, to_static_urls
from adapter.config.load import ConfigurationWatcher, LoadedConfiguration
from adapter.config.schema import DiscoveryKind
from adapter.controller import InventorySource, Parts
from adapter.discovery import HttpDiscovery, LastGoodDiscovery, StaticDiscovery
from adapter.telemetry import Telemetry


class ConfiguredParts:
    """Gives the parts of each pass; use it as an async context manager.

    A change that cannot be used is reported once and changes nothing. The collector stays the same for good, so what it
    remembers of pages outlives every change.
    """

    def __init__(self, watcher: ConfigurationWatcher, clock: Clock, telemetry: Telemetry) -> None:
        self._watcher = watcher
        self._poll = ConfigurationPoll(watcher, self._apply, telemetry)
        with blame_ca_file():
            self._collector = Collector(to_collector_options(watcher.current), clock, telemetry)
        self._session: aiohttp.ClientSession | None = None
        self._discovery = LastGoodDiscovery(StaticDiscovery({}))
        self._discovery_options: object = None
        self._parts = Parts(watcher.current.settings, self._discovery, self._collector)

    async def __aenter__(self) -> ConfiguredParts:
        """Open the connections.

        Raises
        ------
        ConfigurationError
            When what the configuration refers to cannot be used.
        """
        with blame_ca_file():
            await self._collector.__aenter__()
        self._session = aiohttp.ClientSession()
        self._apply(self._watcher.current)
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the connections."""
        await self._collector.__aexit__(*exc)
        if self._session is not None:
            await self._session.close()

    async def get_parts(self) -> Parts:
        """Return the parts for the next pass, after a look at the configuration file."""
        self._poll.poll()
        return self._parts

    def _apply(self, loaded: LoadedConfiguration) -> None:
        with blame_ca_file():
            self._collector.reconfigure(to_collector_options(loaded))
        self._parts = Parts(loaded.settings, self._renew_discovery(loaded), self._collector)

    def _renew_discovery(self, loaded: LoadedConfiguration) -> InventorySource:
        """Return the source that `loaded` names; the present one, with its last good answer, when that is the same."""
        discovery, urls = loaded.configuration.discovery, to_static_urls(loaded)
        options = (discovery, urls if discovery.kind is DiscoveryKind.STATIC else None)
        if options != self._discovery_options:
            source: InventorySource = StaticDiscovery(urls)
            if self._session is not None and discovery.kind is DiscoveryKind.HTTP and discovery.url is not None:
                source = HttpDiscovery(self._session, discovery.url, discovery.timeout_s)
            self._discovery, self._discovery_options = LastGoodDiscovery(source), options
        return self._discovery
