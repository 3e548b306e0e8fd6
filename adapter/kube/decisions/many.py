"""Much to do without keeping others waiting: some requests at a time, some work at a time. It knows not what about."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from adapter.errors import AdapterError, Unreachable

AT_ONCE = 8
GIVE_UP_AFTER = 8
"""So many requests without an answer, and the rest is not tried: the next pass comes soon."""

AT_A_STRETCH = 20
"""So many pieces of work, a millisecond or two, before others get their turn."""

T = TypeVar("T")
R = TypeVar("R")


async def try_each(work: Callable[[T], Awaitable[R]], items: Sequence[T]) -> list[R | AdapterError]:
    """Return for each of `items` what `work` on it returns, or why it could not be done."""
    gate, unanswered = asyncio.Semaphore(AT_ONCE), 0

    async def attempt(item: T) -> R | AdapterError:
        nonlocal unanswered
        async with gate:
            if unanswered >= GIVE_UP_AFTER:
                return Unreachable("not tried: the API does not answer")
            try:
                return await work(item)
            except AdapterError as failure:
                unanswered += isinstance(failure, Unreachable)
                return failure

    async with asyncio.TaskGroup() as tasks:
        attempts = [tasks.create_task(attempt(item)) for item in items]
    return [done.result() for done in attempts]


async def take_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield `items`, and let others of this process have their say between them."""
    for index, item in enumerate(items):
        if index % AT_A_STRETCH == AT_A_STRETCH - 1:
            await asyncio.sleep(0)
        yield item
