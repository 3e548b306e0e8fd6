"""What the adapter does without a cluster: decide, alone, and serve what it decided."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from adapter.clock import Clock
from adapter.compose.parts import ConfiguredParts
from adapter.config.load import ConfigurationWatcher, LoadedConfiguration
from adapter.controller import Controller, StateStore
from adapter.external_metrics.security import ApiSecurity
from adapter.state_store import FileStateStore, MemoryStateStore
from adapter.store import DecisionStore, StorePublisher
from adapter.telemetry import Telemetry
from optimizer import decide


class LocalWork:
    """The loop of one controller, and nothing else.

    Attributes
    ----------
    controller
        What decides.
    security
        Of the API; there is nobody who could vouch for callers.
    """

    security: ApiSecurity | None = None

    def __init__(self, controller: Controller) -> None:
        self.controller = controller

    async def run(self) -> None:
        """Decide until canceled."""
        await self.controller.run()

    def find_obstacle(self) -> str | None:
        """Return nothing: the pages tell themselves whether a pass has finished."""
        return None


@asynccontextmanager
async def open_local_work(
    watcher: ConfigurationWatcher, clock: Clock, store: DecisionStore, telemetry: Telemetry
) -> AsyncIterator[LocalWork]:
    """Yield the work, which somebody has to run.

    Raises
    ------
    ConfigurationError
        When what the configuration refers to cannot be used.
    """
    async with ConfiguredParts(watcher, clock, telemetry) as parts:
        states = _choose_state_store(watcher.current)
        deciding, publisher = partial(decide, policies=watcher.current.policies), StorePublisher(store)
        yield LocalWork(Controller(parts, deciding, publisher, states=states, clock=clock, telemetry=telemetry))


def _choose_state_store(loaded: LoadedConfiguration) -> StateStore:
    path = loaded.resolve(loaded.configuration.state.file)
    return MemoryStateStore() if path is None else FileStateStore(path)
