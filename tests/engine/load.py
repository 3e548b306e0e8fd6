"""Sends planned requests to a completions endpoint at their times and records what comes back.

Open loop: a slow server delays no sending. It judges nothing.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp

from tests.engine.record import INCOMPLETE, LEFT, OK, RequestRecord
from tests.engine.schedule import PlannedRequest
from tests.engine.server import MODEL_NAME
from tests.engine.tiny_model import START_TOKENS, WORDS


@dataclass(frozen=True, slots=True)
class TrialClock:
    """Seconds since the trial began; steady, and with the Unix time of the beginning."""

    origin_unix_s: float = field(default_factory=time.time)
    origin_monotonic_s: float = field(default_factory=time.monotonic)

    def now_s(self) -> float:
        """Return the present."""
        return time.monotonic() - self.origin_monotonic_s


@dataclass(slots=True)
class LoadClient:
    """A client of the server at `url`; `records` grows in order of sending."""

    session: aiohttp.ClientSession
    url: str
    clock: TrialClock
    records: list[RequestRecord] = field(default_factory=list)
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    async def warm_up(self) -> None:
        """Send three small requests, one after the other."""
        for _ in range(3):
            await self._send(PlannedRequest(0.0, 16, 8))

    async def play(self, requests: Sequence[PlannedRequest], duration_s: float) -> None:
        """Send each request at its offset and return after `duration_s`, whatever is still running."""
        start_s = self.clock.now_s()
        for request in requests:
            await asyncio.sleep(max(0.0, start_s + request.offset_s - self.clock.now_s()))
            task = asyncio.create_task(self._send(request))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        await asyncio.sleep(max(0.0, start_s + duration_s - self.clock.now_s()))

    async def finish(self, within_s: float) -> None:
        """Wait until everything sent has ended, at most `within_s`; then leave the rest."""
        if self._running:
            await asyncio.wait(set(self._running), timeout=within_s)
        for task in set(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _send(self, request: PlannedRequest) -> None:
        record = RequestRecord(self.clock.now_s(), request.input_tokens, request.output_tokens)
        self.records.append(record)
        try:
            async with asyncio.timeout(request.patience_s):
                await self._stream(request, record)
        except TimeoutError:
            record.status = LEFT
        except asyncio.CancelledError:
            record.status = LEFT
            raise
        except aiohttp.ClientError as cause:
            record.status = type(cause).__name__
        finally:
            record.ended_s = self.clock.now_s()

    async def _stream(self, request: PlannedRequest, record: RequestRecord) -> None:
        async with self.session.post(
            f"{self.url}/v1/completions", json=_make_body(request, len(self.records))
        ) as reply:
            record.taken_s = self.clock.now_s()
            usage: dict[str, int] = {}
            async for line in reply.content:
                if not line.startswith(b"data: {"):
                    continue
                event = json.loads(line[len(b"data: ") :])
                if event.get("choices"):
                    record.token_times_s.append(self.clock.now_s())
                usage = event.get("usage") or usage
        record.status = str(reply.status) if usage or reply.status != int(OK) else INCOMPLETE
        if record.status == OK:
            record.done_s = self.clock.now_s()
            record.input_tokens, record.output_tokens = usage["prompt_tokens"], usage["completion_tokens"]


def _make_body(request: PlannedRequest, number: int) -> dict[str, object]:
    # Each prompt begins with its own number, so that no prefix is shared and every prompt token is computed.
    first = [number // WORDS % WORDS, number % WORDS]
    rest = ((number * 7919 + position * 104729) % WORDS for position in range(request.input_tokens))
    words = [*first, *rest][: request.input_tokens - START_TOKENS]
    return {
        "model": MODEL_NAME,
        "prompt": " ".join(f"w{word}" for word in words),
        "max_tokens": request.output_tokens,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
