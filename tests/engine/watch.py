"""Asks one address again and again and keeps every answer with its time. It understands none of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import aiohttp

from tests.engine.load import TrialClock


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back at `time_s` [s since the trial began]; `status` is "200" or what went wrong, then without text."""

    time_s: float
    status: str
    text: str


@dataclass(slots=True)
class Watcher:
    """Asks `url` every `period_s` until cancelled, at fixed times: a slow answer delays no later question."""

    session: aiohttp.ClientSession
    url: str
    period_s: float
    clock: TrialClock
    answers: list[Answer] = field(default_factory=list)

    async def watch(self) -> None:
        """Ask until cancelled."""
        due_s = self.clock.now_s()
        while True:
            self.answers.append(await self._ask())
            due_s = max(due_s + self.period_s, self.clock.now_s())
            await asyncio.sleep(due_s - self.clock.now_s())

    async def _ask(self) -> Answer:
        # The time of the answer is the time of the page: it is made when the answer begins.
        try:
            async with self.session.get(self.url, timeout=aiohttp.ClientTimeout(10)) as response:
                text = await response.text()
                status = str(response.status)
        except (aiohttp.ClientError, TimeoutError) as cause:
            text, status = "", type(cause).__name__
        return Answer(self.clock.now_s(), status, text if status == "200" else "")
