"""Asks one address again and again and keeps every answer with its time. It understands none of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import aiohttp

from tests.engine.load import TrialClock


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; all times are seconds since the trial began.

    Attributes
    ----------
    time_s
        When it was asked for. A page is of that moment: what was sent before stands before the question in the
        server's line, and neither a late answer nor a late reader makes it younger.
    status
        "200" or what went wrong.
    text
        Empty unless the status is "200".
    begun_s
        When the answer began, so that slow ones can be told; None when none came.
    """

    time_s: float
    status: str
    text: str
    begun_s: float | None = None


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
        asked_s = self.clock.now_s()
        try:
            async with self.session.get(self.url, timeout=aiohttp.ClientTimeout(10)) as response:
                begun_s = self.clock.now_s()
                text = await response.text()
                status = str(response.status)
        except (aiohttp.ClientError, TimeoutError) as cause:
            return Answer(asked_s, type(cause).__name__, "")
        return Answer(asked_s, status, text if status == "200" else "", begun_s)
