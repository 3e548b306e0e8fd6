"""What every replica serves: decisions as everybody was told them, handed on whole whenever they change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from adapter.clock import Clock
from adapter.kube.decisions.assemble import assemble_models
from adapter.kube.decisions.watch import DecisionWatch
from optimizer.domain import ModelDecision

GATHER_S = 0.05
"""Changes that come within so short a time [s] are handed on together."""


class DecisionReader:
    """Reads decisions from the cluster, whoever made them.

    While the API cannot be reached the last ones stay as they are, and their age grows.

    Parameters
    ----------
    watch
        Where they stand.
    clock
        By which changes are gathered.
    on_publication
        Called with all decisions, first when everything is known and then after every change; must not raise.
    """

    def __init__(
        self, watch: DecisionWatch, clock: Clock, on_publication: Callable[[tuple[ModelDecision, ...]], None]
    ) -> None:
        self._watch, self._clock, self._on_publication = watch, clock, on_publication

    async def run(self) -> None:
        """Follow the cluster, and hand on what changes, until canceled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch.run())
            tasks.create_task(self._hand_on())

    async def _hand_on(self) -> None:
        while True:
            await self._watch.changed.wait()
            await self._clock.sleep(GATHER_S)
            self._watch.changed.clear()
            if self._watch.is_synced:
                self._on_publication(assemble_models(await self._watch.read_records(), self._watch.get_heartbeat()))
