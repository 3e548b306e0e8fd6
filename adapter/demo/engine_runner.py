"""A token engine under a clock: it wakes when something is due, and hands events to the exchanges that wait for them.

It knows what is asked and what is answered, not how either travels.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import numpy as np

from adapter.clock import Clock
from adapter.demo.completion import CompletionRequest, CompletionText
from adapter.demo.engine_settings import EngineSettings, Lag
from adapter.demo.exchange import Exchange
from adapter.demo.pages import HttpCounts, MetricsPage, get_edges, make_page
from optimizer.simulation import (
    EndedRequest,
    EngineEvent,
    EngineLimits,
    EngineRequest,
    EventKind,
    NoisyStepTime,
    RequestOutcome,
    TokenEngine,
    make_step_time,
)

# Above speed 1 tokens are handed out at most once in this many seconds of wall time; several may share one event.
FLUSH_WALL_S = 0.01


class EngineRunner:
    """One engine that runs.

    Parameters
    ----------
    settings
        The engine.
    clock
        Engine time.
    http
        What the server around it counts.
    ready_s
        When it begins to serve [s].
    on_end
        Called with the record of every request that finished, was rejected, or whose client left.

    Attributes
    ----------
    engine
        The engine, to be read only.
    page
        Its metrics page.
    """

    def __init__(
        self,
        settings: EngineSettings,
        clock: Clock,
        http: HttpCounts,
        ready_s: float,
        on_end: Callable[[EndedRequest], None],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._on_end = on_end
        self.engine = _make_engine(settings, clock.now_s())
        self.page: MetricsPage = make_page(settings, self.engine, http, self.engine.time_s, ready_s)
        self._generator = np.random.default_rng(settings.seed)
        self._exchanges: dict[str, Exchange] = {}
        self._names = 0
        self._work = asyncio.Event()
        self._driver: asyncio.Task[None] | None = None
        self._wakes, self._late_s, self._latest_s = 0, 0.0, 0.0

    def start(self) -> None:
        """Begin to run."""
        self._driver = asyncio.create_task(self._drive())

    async def stop(self) -> None:
        """Stop running.

        Raises
        ------
        Exception
            Whatever broke the run before.
        """
        if self._driver is not None:
            self._driver.cancel()
            with suppress(asyncio.CancelledError):
                await self._driver

    def take_lag(self) -> Lag:
        """Return how late it woke since the last call, and begin anew."""
        lag = Lag(self._wakes, self._late_s / self._wakes if self._wakes else 0.0, self._latest_s)
        self._wakes, self._late_s, self._latest_s = 0, 0.0, 0.0
        return lag

    @contextmanager
    def exchange(self, asked: CompletionRequest) -> Iterator[Exchange | None]:
        """Hand a request to the engine and yield its exchange, None when the queue is full; drop it if it is left.

        Raises
        ------
        Exception
            Whatever broke the run.
        """
        if self._driver is not None and self._driver.done():
            self._driver.result()
        request = self._make_request(asked)
        taken = self.engine.submit(request)
        self._work.set()
        if not taken:
            self._on_end(EndedRequest(request, RequestOutcome.REJECTED, request.arrival_s))
            yield None
            return
        text = CompletionText(request.request_id, self._settings.model_name, int(request.arrival_s))
        exchange = Exchange(text, request.arrival_s, asked.is_streaming)
        self._exchanges[request.request_id] = exchange
        try:
            yield exchange
        finally:
            del self._exchanges[request.request_id]
            if not exchange.is_ended:
                self._abandon(request)

    async def _drive(self) -> None:
        """Advance the engine whenever something is due, and hand out what happened."""
        flush_s = FLUSH_WALL_S * self._clock.speed if self._clock.speed > 1 else 0.0
        flushed_s = -math.inf
        while True:
            await self._work.wait()
            event_s = self.engine.next_event_s
            if event_s is None:
                self._work.clear()
            else:
                due_s = max(event_s, flushed_s + flush_s)
                await self._clock.sleep_until(due_s)
                self._note_lag(self._clock.now_s() - due_s)
            flushed_s = self._clock.now_s()
            for event in self.engine.advance(flushed_s):
                await self._hand_out(event)
            self.page.note_progress()

    def _note_lag(self, late_s: float) -> None:
        self._wakes += 1
        self._late_s += max(late_s, 0.0)
        self._latest_s = max(self._latest_s, late_s)

    async def _hand_out(self, event: EngineEvent) -> None:
        exchange = self._exchanges.get(event.request_id)
        if event.ended is not None:
            self._on_end(event.ended)
        if exchange is None:
            return
        if event.kind is EventKind.FIRST_TOKEN:
            self.page.note_first_token(event.time_s - exchange.arrival_s, exchange.is_streaming)
        elif event.ended is not None:
            self.page.note_finished(event.ended, exchange.is_streaming)
        await exchange.take(event)

    def _make_request(self, asked: CompletionRequest) -> EngineRequest:
        self._names += 1
        return EngineRequest(
            f"cmpl-{self._names}",
            self._clock.now_s(),
            asked.input_tokens,
            self._draw_output_tokens(asked),
            int(asked.input_tokens * self._settings.cached_ratio),
            asked.max_tokens,
        )

    def _draw_output_tokens(self, asked: CompletionRequest) -> int:
        mean_tokens = self._settings.mean_output_tokens
        if asked.ignore_eos or mean_tokens is None:
            return asked.max_tokens
        return min(int(self._generator.geometric(1 / mean_tokens)), asked.max_tokens)

    def _abandon(self, request: EngineRequest) -> None:
        """Note that the client left."""
        ended = self.engine.cancel(request.request_id, self._clock.now_s())
        self._work.set()
        if ended is not None:
            self._on_end(ended)


def _make_engine(settings: EngineSettings, start_s: float) -> TokenEngine:
    step_time = make_step_time(settings.performance)
    if settings.noise_ratio:
        step_time = NoisyStepTime(step_time, settings.noise_ratio, np.random.default_rng((settings.seed, 1)))
    limits = EngineLimits(
        settings.kv_capacity_tokens,
        settings.block_tokens,
        settings.max_running_requests,
        settings.max_batched_tokens,
        settings.max_queued_requests,
    )
    return TokenEngine(step_time, limits, start_s, get_edges(settings))
