"""Waiting for something, but not for ever, by our own clock. It knows nothing of what is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from adapter.clock import Clock

T = TypeVar("T")


async def wait_within(clock: Clock, limit_s: float, work: Awaitable[T]) -> T:
    """Return what `work` comes to within `limit_s` [s] of `clock`; a limit of zero gives it one look.

    Raises
    ------
    TimeoutError
        When it takes longer; `work` is then canceled, and has finished its own cleanup.
    """
    task = asyncio.ensure_future(work)
    timer = asyncio.ensure_future(clock.sleep(limit_s))
    try:
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise TimeoutError(f"nothing within {limit_s:g} s")
    finally:
        task.cancel()
        timer.cancel()
        await asyncio.gather(task, timer, return_exceptions=True)
