"""Discovery that survives its source: while it fails, the last good inventory stays in force, with the reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from adapter.errors import AdapterError
from adapter.inventory import Inventory
from adapter.telemetry import log_event
from optimizer.domain import Reason, ReasonCode


class InventorySource(Protocol):
    """Whoever can say which workloads and pods exist."""

    async def fetch_inventory(self) -> Inventory:
        """Return what exists now."""
        ...


class LastGoodDiscovery:
    """Wraps a source so that asking it never fails; what goes wrong is logged when it begins, changes and ends."""

    def __init__(self, source: InventorySource) -> None:
        self._source, self._last = source, Inventory(())
        self._failure: str | None = None

    async def fetch_inventory(self) -> Inventory:
        """Return the newest inventory, or the last good one (at first: an empty one) with its reason."""
        try:
            self._last = await self._source.fetch_inventory()
        except AdapterError as failure:
            self._report(str(failure))
            return replace(self._last, reason=Reason(ReasonCode.STALE, f"inventory not renewed: {failure}"))
        self._report(None)
        return self._last

    def _report(self, failure: str | None) -> None:
        if failure == self._failure:
            return
        self._failure = failure
        if failure is None:
            log_event("inventory_renewed", workloads=len(self._last.workloads))
        else:
            log_event("inventory_failed", level="warning", error=failure)
