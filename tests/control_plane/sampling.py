"""Looks at things again and again while a story goes on, and keeps what was seen, in order. It judges nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import groupby

from adapter.errors import AdapterError
from tests.control_plane.waiting import wait_until

Look = Callable[[], Awaitable[object]]

_LOOK_EVERY_S = 0.1


@dataclass
class Sample:
    """What one look saw.

    Attributes
    ----------
    seen
        Results, each as often as it changed to it; a failure is its class and its text.
    looks
        How often it was looked.
    failed_looks
        How many of them failed.
    """

    seen: list[str] = field(default_factory=list)
    looks: int = 0
    failed_looks: int = 0

    def take(self, result: object) -> None:
        """Remember one result."""
        self.looks += 1
        if not self.seen or self.seen[-1] != str(result):
            self.seen.append(str(result))

    @property
    def numbers(self) -> list[str]:
        """What was seen but for failures, each as often as it changed to it."""
        return [number for number, _ in groupby(filter(str.isdigit, self.seen))]

    @property
    def failures(self) -> list[str]:
        """What was seen besides numbers."""
        return [text for text in self.seen if not text.isdigit()]

    async def wait_for_looks(self, count: int) -> None:
        """Return after so many further looks."""
        wanted = self.looks + count

        async def read() -> int:
            return self.looks

        await wait_until(read, lambda looks: looks >= wanted, what=f"{count} further looks; seen: {self.seen}")

    async def wait_for(self, result: object) -> None:
        """Return once `result` is what was seen last."""

        async def read() -> list[str]:
            return self.seen

        await wait_until(read, lambda seen: seen[-1:] == [str(result)], what=f"{result} is seen")


@asynccontextmanager
async def sampling(**looks: Look) -> AsyncIterator[Mapping[str, Sample]]:
    """Yield what each of `looks` saw so far; they go on until the end."""
    samples = {name: Sample() for name in looks}
    tasks = [asyncio.create_task(_keep_looking(look, samples[name])) for name, look in looks.items()]
    try:
        yield samples
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for problem in ended:
        if not isinstance(problem, asyncio.CancelledError):
            raise AssertionError("a look ended by itself") from problem


async def _keep_looking(look: Look, sample: Sample) -> None:
    while True:
        try:
            sample.take(await look())
        except AdapterError as failure:
            sample.failed_looks += 1
            sample.take(f"{type(failure).__name__}: {failure}")
        await asyncio.sleep(_LOOK_EVERY_S)
