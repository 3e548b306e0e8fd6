"""A clock that stands still until a test moves it, for servers that really wait on real sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

START_S = 1_000_000.0
PATIENCE_S = 60.0


class SteppedClock:
    """Stands still; `run_to` moves it from one sleeper to the next, so that nothing is ever late."""

    speed = 1.0

    def __init__(self, start_s: float = START_S) -> None:
        self._now_s = start_s
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now_s(self) -> float:
        return self._now_s

    async def sleep(self, duration_s: float) -> None:
        await self.sleep_until(self._now_s + duration_s)

    async def sleep_until(self, time_s: float) -> None:
        if time_s <= self._now_s:
            await asyncio.sleep(0)
            return
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((time_s, sleeper))
        await sleeper

    async def run_to(self, time_s: float) -> None:
        """Move to `time_s` [s], waking every sleeper at its own moment."""
        while True:
            self._sleepers = [(due_s, sleeper) for due_s, sleeper in self._sleepers if not sleeper.done()]
            due = [due_s for due_s, _ in self._sleepers if due_s <= time_s]
            if not due:
                break
            self._now_s = min(due)
            for due_s, sleeper in self._sleepers:
                if due_s <= self._now_s:
                    sleeper.set_result(None)
            for _ in range(10):
                await asyncio.sleep(0)
        self._now_s = max(self._now_s, time_s)
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what the other end of a socket brings about; fail after much more time than it can take."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come about"
        await asyncio.sleep(0.001)
