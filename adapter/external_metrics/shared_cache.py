"""Answers remembered for a short while, asked for once by all who need them at the same time. It knows no Kubernetes.

Failures are not remembered. Everything is bounded: what is remembered, and how many questions are under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from http import HTTPStatus
from typing import Any, Generic, TypeVar

from adapter.clock import Clock
from adapter.external_metrics.answers import StatusError

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MAX_ENTRIES = 8192
MAX_UNDER_WAY = 128


class SharedCache(Generic[K, V]):
    """Maps a key to the answer that somebody far away gave less than `ttl_s` ago.

    Parameters
    ----------
    ttl_s
        How long an answer counts [s]; all are alike, so the oldest entry is always the first to go.
    max_entries, max_under_way
        Bounds; a question beyond the latter is refused with 429.
    """

    def __init__(
        self, clock: Clock, ttl_s: float, max_entries: int = MAX_ENTRIES, max_under_way: int = MAX_UNDER_WAY
    ) -> None:
        self._clock, self._ttl_s = clock, ttl_s
        self._max_entries, self._max_under_way = max_entries, max_under_way
        self._answers: dict[K, tuple[V, float]] = {}
        self._under_way: dict[K, asyncio.Task[V]] = {}

    def __len__(self) -> int:
        return len(self._answers)

    async def get(self, key: K, ask: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """Return the answer for `key`: a remembered one, else what `ask` brings.

        Raises
        ------
        StatusError
            429 when too many questions are under way.
        Exception
            What `ask` raises; everybody who waits for it gets the same.
        """
        entry = self._answers.get(key)
        if entry is not None and self._clock.now_s() < entry[1]:
            return entry[0]
        task = self._under_way.get(key)
        if task is None:
            if len(self._under_way) >= self._max_under_way:
                message = f"{len(self._under_way)} reviews are under way already"
                raise StatusError(HTTPStatus.TOO_MANY_REQUESTS, message)
            task = asyncio.ensure_future(self._ask(key, ask))
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(task)  # who goes away takes the answer from nobody else

    async def _ask(self, key: K, ask: Callable[[], Coroutine[Any, Any, V]]) -> V:
        answer = await ask()
        self._answers.pop(key, None)  # the newest goes last
        while len(self._answers) >= self._max_entries:
            del self._answers[next(iter(self._answers))]
        self._answers[key] = (answer, self._clock.now_s() + self._ttl_s)
        return answer

    def _forget(self, key: K, done: asyncio.Task[V]) -> None:
        self._under_way.pop(key, None)
        if not done.cancelled():
            done.exception()  # seen, even when nobody waits any more
