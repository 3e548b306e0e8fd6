"""Passes of a collector over an inventory, a period apart, and what their snapshots say."""

from __future__ import annotations

from adapter.collector import Collector, CollectorOptions, ScrapeOptions
from adapter.inventory import Inventory, PodEntry
from optimizer.domain import DemandWindow, FleetSnapshot, PodState, ReasonCode, Settings
from tests.builders.inventories import make_inventory, make_settings
from tests.builders.stepped_clock import SteppedClock

PERIOD_S = 15.0
SETTINGS = make_settings("a")
AT_ONCE = ScrapeOptions(timeout_s=30.0, jitter_s=0.0)
OPTIONS = CollectorOptions(AT_ONCE)


class Passes:
    """Runs passes of a collector, one per period."""

    def __init__(self, collector: Collector, clock: SteppedClock) -> None:
        self.collector, self._clock = collector, clock

    async def run(
        self, inventory: Inventory, settings: Settings = SETTINGS, after_s: float = PERIOD_S
    ) -> FleetSnapshot:
        """Return the snapshot of a pass `after_s` later than the last."""
        await self._clock.run_to(self._clock.now_s() + after_s)
        return await self.collector.collect(inventory, settings)

    async def run_on(self, *entries: PodEntry) -> tuple[DemandWindow, PodState]:
        """Return window and state of the first pod after one more pass over `entries`."""
        snapshot = await self.run(make_inventory(a=entries))
        window = get_windows(snapshot)[entries[0].pod.name]
        return window, get_states(snapshot)[entries[0].pod.name]


def get_windows(snapshot: FleetSnapshot) -> dict[str, DemandWindow]:
    return {window.pod.name: window for window in snapshot.models[0].windows if window.pod is not None}


def get_states(snapshot: FleetSnapshot) -> dict[str, PodState]:
    return {pod.pod.name: pod for variant in snapshot.models[0].variants for pod in variant.pods}


def get_code(window: DemandWindow) -> ReasonCode | None:
    return None if window.reason is None else window.reason.code
