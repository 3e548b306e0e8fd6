"""A cache of objects that runs, objects for it, and time that passes until it has caught up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from adapter.kube.reflector import ObjectCache
from tests.builders.quiet_clock import QuietClock


def make(name: str, namespace: str = "prod", **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels}, "spec": {"size": 1}}


def list_names(cache: ObjectCache) -> list[str]:
    return [item["metadata"]["name"] for item in cache.list()]


@asynccontextmanager
async def running(cache: ObjectCache) -> AsyncIterator[ObjectCache]:
    task = asyncio.create_task(cache.run())
    try:
        yield cache
    finally:
        task.cancel()
        done = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(done[0], asyncio.CancelledError), done


async def step_until(clock: QuietClock, condition: Callable[[], bool], longest_s: float = 30.0) -> None:
    """Let time pass in small steps until `condition` holds."""
    end_s = clock.now_s() + longest_s
    while not condition():
        assert clock.now_s() < end_s, "it did not come about in time"
        await clock.run_to(clock.now_s() + 0.25)
