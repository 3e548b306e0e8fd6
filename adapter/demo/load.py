"""Open-loop load over real HTTP: every request goes out when it is due, whatever became of those before.

It knows one address, that of the router; it draws no arrivals itself.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import aiohttp

from adapter.clock import Clock
from adapter.demo.request_log import Fate, RequestLog, RequestRecord
from adapter.demo.scenarios import Arrival

_TAIL_BYTES = 8192
_ANSWER_TIMEOUT_S = 900.0  # wall time


class LoadGenerator:
    """Sends the requests of a story and notes what became of them.

    Parameters
    ----------
    clock
        Tells when they are due.
    url
        Base address of the router.
    log
        Where they are noted.
    """

    def __init__(self, clock: Clock, url: str, log: RequestLog) -> None:
        self._clock = clock
        self._url = url + "/v1/completions"
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()
        self._late_s = 0.0

    def take_lateness_s(self) -> float:
        """Return how late the latest request went out since the last call [s of the clock]."""
        late_s, self._late_s = self._late_s, 0.0
        return late_s

    async def run(self, arrivals: Iterator[Arrival], begin_s: float) -> None:
        """Send `arrivals`, whose offsets count from `begin_s` [s]; ends with them, or when it is canceled.

        What is under way when it is canceled is given up and stays open in the log.
        """
        timeout = aiohttp.ClientTimeout(total=_ANSWER_TIMEOUT_S)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            try:
                for arrival in arrivals:
                    due_s = begin_s + arrival.offset_s
                    await self._clock.sleep_until(due_s)
                    self._late_s = max(self._late_s, self._clock.now_s() - due_s)
                    self._start(session, arrival, due_s)
                await asyncio.gather(*self._tasks)
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, session: aiohttp.ClientSession, arrival: Arrival, due_s: float) -> None:
        record = RequestRecord(arrival.key, due_s, arrival.input_tokens, arrival.output_tokens)
        self._log.open(record)
        task = asyncio.create_task(self._send(session, record))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, session: aiohttp.ClientSession, record: RequestRecord) -> None:
        record.sent_s = self._clock.now_s()
        try:
            async with session.post(self._url, data=_render_body(record), headers=_JSON) as response:
                record.replica = response.headers.get("X-Served-By", "")
                record.held_s = float(response.headers.get("X-Held-Seconds", "0"))
                tail = await self._read(response, record)
                record.fate = _judge_status(response.status)
        except (aiohttp.ClientError, TimeoutError):
            record.fate, tail = Fate.FAILED, b""
        record.client_end_s = self._clock.now_s()
        if record.fate is Fate.FINISHED and not _note_engine_time(record, tail):
            record.fate = Fate.FAILED
        self._log.close(record, record.client_end_s)

    async def _read(self, response: aiohttp.ClientResponse, record: RequestRecord) -> bytes:
        """Read the whole answer and return its end."""
        tail = b""
        async for piece in response.content.iter_any():
            if record.client_first_s is None:
                record.client_first_s = self._clock.now_s()
            tail = (tail + piece)[-_TAIL_BYTES:]
        return tail


_JSON = {"Content-Type": "application/json"}


def _render_body(record: RequestRecord) -> bytes:
    document = {
        "model": record.key.model_id,
        "prompt": [1] * record.input_tokens,
        "max_tokens": record.output_tokens,
        "ignore_eos": True,
        "stream": True,
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _judge_status(status: int) -> Fate:
    if status == 200:
        return Fate.FINISHED
    return Fate.REFUSED if status == 503 else Fate.FAILED


def _note_engine_time(record: RequestRecord, tail: bytes) -> bool:
    """Take the times of the request in the engine from the end of its answer; False when the answer is cut short."""
    events = [event.removeprefix(b"data: ") for event in tail.split(b"\n\n") if event.startswith(b"data: ")]
    if len(events) < 2 or events[-1] != b"[DONE]":
        return False
    try:
        times = json.loads(events[-2])["engine_time"]
        record.ttft_s, record.ttlt_s = record.held_s + times["ttft_s"], record.held_s + times["ttlt_s"]
        record.itl_s = times["itl_s"]
    except (ValueError, KeyError, TypeError):
        return False
    return True
