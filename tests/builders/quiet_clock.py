"""A clock that moves on only when nobody in the process has anything left to do, sockets included.

Servers and clients of one process, over real HTTP on loopback, thereby live through minutes in seconds, and never late:
what happens does not depend on how fast the machine is.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from typing import ParamSpec, TypeVar

START_S = 1_000_000.0
QUIET_ROUNDS = 4  # rounds of the loop, each of which looks at every socket, without anything to do


P = ParamSpec("P")
T = TypeVar("T")


class InlineExecutor(ThreadPoolExecutor):
    """Does what is handed to a thread at once, so that the loop is not quiet before it is done."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        done: Future[T] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except BaseException as failure:
            done.set_exception(failure)
        return done


class QuietClock:
    """Wakes one sleeper after the other, and between two of them waits until all are asleep again.

    Parameters
    ----------
    speed
        What it claims; engines hand out tokens in larger pieces the larger it is.
    """

    def __init__(self, speed: float = 20.0, start_s: float = START_S) -> None:
        self.speed = speed
        self._now_s = start_s
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now_s(self) -> float:
        return self._now_s

    async def sleep(self, duration_s: float) -> None:
        await self.sleep_until(self._now_s + duration_s)

    async def sleep_until(self, time_s: float) -> None:
        if time_s <= self._now_s:
            await asyncio.sleep(0)
            return
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (time_s, next(self._order), sleeper))
        await sleeper

    async def run_to(self, time_s: float) -> None:
        """Move to `time_s` [s], waking every sleeper at its own moment."""
        await wait_until_quiet()
        while self._sleepers and self._sleepers[0][0] <= time_s:
            self._now_s = max(self._now_s, self._sleepers[0][0])
            while self._sleepers and self._sleepers[0][0] <= self._now_s:
                sleeper = heapq.heappop(self._sleepers)[2]
                if not sleeper.done():
                    sleeper.set_result(None)
            await wait_until_quiet()
        self._now_s = max(self._now_s, time_s)
        await wait_until_quiet()


async def wait_until_quiet() -> None:
    """Return when the event loop has had nothing to do for some rounds; what crosses loopback arrives in the next."""
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
    quiet = 0
    while quiet < QUIET_ROUNDS:
        await asyncio.sleep(0)
        quiet = 0 if ready else quiet + 1
