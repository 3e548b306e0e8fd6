"""Holds requests while nothing is ready: a bounded number, for a bounded time. No I/O."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from adapter.router.table import ReplicaTable


@dataclass(frozen=True, slots=True)
class HoldingLimits:
    """How much is held per LLM.

    Attributes
    ----------
    max_requests
        Requests held at once; what comes beyond is refused. 256 bounds memory and the surge at waking.
    max_wait_s
        Longest hold in wall time [s]; five minutes cover the start of a 70B replica.
    """

    max_requests: int = 256
    max_wait_s: float = 300.0


class HoldingRoom:
    """The requests of one LLM that wait for a ready replica."""

    def __init__(self, table: ReplicaTable, limits: HoldingLimits) -> None:
        self._table = table
        self._limits = limits
        self.waiting_requests = 0

    async def hold(self) -> bool:
        """Wait until a replica is ready; False when the room is full or the wait was too long."""
        if self._table.replicas:
            return True
        if self.waiting_requests >= self._limits.max_requests:
            return False
        self.waiting_requests += 1
        try:
            async with asyncio.timeout(self._limits.max_wait_s):
                await self._table.wait_for_replica()
        except TimeoutError:
            return False
        finally:
            self.waiting_requests -= 1
        return True
