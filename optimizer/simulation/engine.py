"""One replica at token level: continuous batching with chunked prefill, a paged KV cache and preemption.

    an iteration takes:  t(n decoding requests, their K context tokens, P prompt tokens computed)
    while the batch stays as it is, k iterations are one step: they end, and are counted, as k single ones would be

It is driven by the times it is handed: it reads no clock, and its results do not depend on how often it is driven.
"""

from __future__ import annotations

from optimizer.errors import InvalidInput
from optimizer.simulation.batch import Batch
from optimizer.simulation.counts import EngineCounters, HistogramEdges
from optimizer.simulation.limits import EngineLimits
from optimizer.simulation.request import EndedRequest, EngineEvent, EngineRequest, EventKind, RequestOutcome
from optimizer.simulation.sequence import Sequence
from optimizer.simulation.step_time import StepTime
from optimizer.simulation.steps import Steps
from optimizer.simulation.ticks import TICKS_PER_NS, to_end_ns, to_ns, to_reaching_s, to_s


class TokenEngine:
    """One replica.

    Parameters
    ----------
    step_time
        How long an iteration takes.
    limits
        What fits.
    start_s
        When it starts [s].
    edges
        Buckets of its histograms; None means those of vLLM.
    tells_tokens
        Whether `advance` tells of tokens and preemptions too, or only of requests that finish.

    Attributes
    ----------
    limits
        As given.
    counters
        What it counted since `start_s`, as of the time it was driven to last.
    time_ns
        How far it was driven [ns].

    Notes
    -----
    An iteration begins when the one before ends or, from idle, when a request arrives; its batch is fixed then. A
    request that arrives at the very end of an iteration misses the next one. A client that leaves frees its place at
    once; the running iteration still ends when it would have.

    Seconds are rounded to nanoseconds where they come in. Iterations are timed finer (`ticks`); an event bears the
    first whole nanosecond at or after it.

    Source: the scheduler of vLLM 0.32: first come first served, last admitted preempted first and computed anew.
    """

    def __init__(
        self,
        step_time: StepTime,
        limits: EngineLimits,
        start_s: float = 0.0,
        edges: HistogramEdges | None = None,
        *,
        tells_tokens: bool = True,
    ) -> None:
        self.limits = limits
        self.counters = EngineCounters(edges or HistogramEdges())
        self.time_ns = to_ns(start_s)
        self._step_time = step_time
        self._tells_tokens = tells_tokens
        self._batch = Batch(limits)
        self._begin_ticks = self.time_ns * TICKS_PER_NS  # of the running iteration
        self._stay = 0  # iterations, the running one included, after which the batch may change; 0 while idle
        self._steps = Steps(0, 0, 0)  # the times of the running iteration and of those behind it
        self._leap = 0  # how many of them follow those times, `_stay` at most
        self._leap_end_ticks = self._begin_ticks
        self._events: list[EngineEvent] = []

    @property
    def time_s(self) -> float:
        """How far it was driven [s]."""
        return to_s(self.time_ns)

    @property
    def next_event_s(self) -> float | None:
        """When the running iteration ends, and with it the next tokens come [s]; None while idle."""
        return to_reaching_s(to_end_ns(self._begin_ticks + self._steps.first_ticks)) if self._leap else None

    @property
    def next_change_ns(self) -> int | None:
        """When to look again at the latest, unless a request arrives or leaves [ns]; None while idle.

        Nothing starts, finishes or is preempted before; only tokens come. Then something may.
        """
        return to_end_ns(self._leap_end_ticks) if self._leap else None

    @property
    def running_requests(self) -> int:
        """Requests in the batch, prefilling or decoding."""
        return len(self._batch.running)

    @property
    def waiting_requests(self) -> int:
        """Requests queued, preempted ones included."""
        return len(self._batch.waiting)

    @property
    def kv_used_ratio(self) -> float:
        """Share of the KV blocks in use [0-1]."""
        return self._batch.kv.used_ratio

    @property
    def kv_used_tokens(self) -> int:
        """Size of the KV blocks in use [tokens]."""
        return self._batch.kv.used_tokens

    @property
    def max_request_tokens(self) -> int:
        """Longest prompt plus output that fits [tokens]."""
        return self.limits.max_request_tokens

    @property
    def context_tokens(self) -> int:
        """Context of the decoding requests together [tokens]."""
        return self._batch.decode.context_tokens

    def submit(self, request: EngineRequest) -> bool:
        """Take `request` in and return True, or count a rejection and return False when the queue is full.

        Raises
        ------
        InvalidInput
            When it arrives in the past, bears the name of one that is in the engine, has no tokens, or could never fit.
        """
        self._check_request(request)
        arrival_ns = to_ns(request.arrival_s)
        self._drive(arrival_ns)
        batch, limit = self._batch, self.limits.max_queued_requests
        if limit is not None and len(batch.running) + len(batch.waiting) >= limit:
            self.counters.rejected += 1
            return False
        self.counters.accepted += 1
        sequence = batch.waiting[request.request_id] = Sequence(request)
        if not self._leap:
            self._begin_iteration(arrival_ns * TICKS_PER_NS)
        elif self._stay > 1 and len(batch.waiting) == 1 and batch.has_room(sequence):
            self._cut_leap()  # those that waited before had no room, and get none while the batch stays
        return True

    def cancel(self, request_id: str, now_s: float) -> EndedRequest | None:
        """Drop a request whose client left at `now_s` [s]; return its record, None when it is not there."""
        now_ns = to_ns(now_s)
        self._drive(now_ns)
        sequence = self._batch.drop(request_id)
        if sequence is None:
            return None
        self._cut_leap()
        self.counters.left += 1
        return sequence.to_ended(RequestOutcome.LEFT, now_ns)

    def advance(self, now_s: float) -> list[EngineEvent]:
        """Drive to `now_s` [s] and return what happened since the last call; see `advance_ns`."""
        return self.advance_ns(to_ns(now_s))

    def advance_ns(self, now_ns: int) -> list[EngineEvent]:
        """Drive to `now_ns` [ns] and return what happened since the last call.

        First tokens, preemptions and ends come in the order of time, then one ``tokens`` event for every other request
        that got tokens, with the time of its last one. Only ends, if the engine does not tell tokens.

        Raises
        ------
        InvalidInput
            When `now_ns` lies in the past.
        """
        self._drive(now_ns)
        events, self._events = self._events, []
        if self._tells_tokens:
            self._tell_tokens(events)
        return events

    def _tell_tokens(self, events: list[EngineEvent]) -> None:
        count_undelivered = self._batch.decode.count_undelivered
        last_s = to_s(to_end_ns(self._begin_ticks))
        for request_id, sequence in self._batch.running.items():
            if tokens := count_undelivered(sequence):
                sequence.delivered_tokens += tokens
                events.append(EngineEvent(EventKind.TOKENS, request_id, last_s, tokens))

    def _drive(self, now_ns: int) -> None:
        if now_ns < self.time_ns:
            raise InvalidInput("time", f">= {self.time_s} [s], as it does not run backwards", to_s(now_ns))
        now_ticks = now_ns * TICKS_PER_NS
        while self._leap:
            end_ticks = self._leap_end_ticks
            if end_ticks > now_ticks:
                if ended := self._steps.count_ended(now_ticks - self._begin_ticks):
                    self._skip(ended)
                break
            if self._leap < self._stay:
                self._skip(self._leap)
                self._plan_leap()
            else:
                self._end_leap(end_ticks)
                self._begin_iteration(end_ticks)
        self.time_ns = now_ns

    def _begin_iteration(self, time_ticks: int) -> None:
        """Fix what the iteration that begins at `time_ticks` does, and how long it stays at that, or become idle."""
        batch, self._begin_ticks = self._batch, time_ticks
        if not batch.running and not batch.waiting:
            self._leap = self._stay = 0
            return
        batch.fix()
        if batch.admitted or batch.preempted:
            self._note_moves(time_ticks)
        self._stay = batch.count_staying()
        self._plan_leap()

    def _plan_leap(self) -> None:
        """Find out how long the iterations take from the one that begins now on."""
        decode, prompt_tokens = self._batch.decode, 0
        for _, tokens in self._batch.chunks:
            prompt_tokens += tokens
        iteration = self.counters.iterations
        self._steps = self._step_time.plan_steps(decode.size, decode.context_tokens, prompt_tokens, iteration)
        self._leap = min(self._stay, self._steps.limit)
        self._leap_end_ticks = self._begin_ticks + self._steps.sum_ticks(self._leap)

    def _cut_leap(self) -> None:
        """Look at the batch again when the running iteration ends."""
        if self._leap:
            self._leap = self._stay = 1
            self._leap_end_ticks = self._begin_ticks + self._steps.first_ticks

    def _note_moves(self, time_ticks: int) -> None:
        """Count and report who came into the batch at `time_ticks`, and who gave way."""
        counters = self.counters
        for sequence in self._batch.preempted:
            counters.preemptions += 1
            if sequence.generated_tokens and sequence.last_token_ticks is None:
                sequence.last_token_ticks = time_ticks
            self._report(EventKind.PREEMPTED, sequence, to_end_ns(time_ticks))
        for sequence in self._batch.admitted:
            if sequence.scheduled_ns is None:
                sequence.scheduled_ns = to_end_ns(time_ticks)
                counters.queried_tokens += sequence.request.input_tokens
                counters.hit_tokens += sequence.cached_tokens
            counters.prefill_hit_tokens += sequence.computed_tokens

    def _skip(self, count: int) -> None:
        """End `count` iterations after each of which the batch goes on as it is."""
        self._count_decoding(count)
        self._batch.skip(count)
        self._begin_ticks += self._steps.sum_ticks(count)
        self._steps = self._steps.skip(count)
        self._leap -= count
        self._stay -= count

    def _count_decoding(self, iterations: int) -> None:
        """Count the decode tokens of `iterations` from the running one on."""
        counters, decoded = self.counters, self._batch.decode.size
        counters.iterations += iterations
        if decoded:
            counters.generated_tokens += decoded * iterations
            counters.decoded_tokens += decoded * iterations
            counters.itl.observe_steps(self._steps, iterations, decoded)
            if not self._batch.chunks:
                counters.iteration_tokens.observe(decoded, iterations)

    def _end_leap(self, end_ticks: int) -> None:
        """Hand out the tokens of the leap that ends at `end_ticks`, with an iteration that may finish requests."""
        batch, end_ns = self._batch, to_end_ns(end_ticks)
        self._count_decoding(self._leap)
        if self._leap > 1:
            batch.skip(self._leap - 1)
        output_tokens = batch.decode.size
        for sequence, blocks in batch.decode.step():
            sequence.blocks = blocks
            self._finish(sequence, end_ns)
        if not batch.chunks:
            return
        counters = self.counters
        counters.prefill_iterations += 1
        for sequence, tokens in batch.chunks:
            counters.prefilled_tokens += tokens
            sequence.computed_tokens += tokens
            if not sequence.uncomputed_tokens:
                output_tokens += self._complete_prefill(sequence, end_ticks, end_ns)
        if output_tokens:
            counters.iteration_tokens.observe(output_tokens)

    def _complete_prefill(self, sequence: Sequence, end_ticks: int, end_ns: int) -> int:
        """Hand out the token that a prefill yields; return the tokens the iteration reports for it."""
        counters, request = self.counters, sequence.request
        sequence.generated_tokens += 1
        counters.generated_tokens += 1
        reported_tokens = 1
        if sequence.last_token_ticks is not None:
            counters.itl.observe_ticks(end_ticks - sequence.last_token_ticks)
            sequence.last_token_ticks = None
        else:
            sequence.first_token_ns = end_ns
            counters.count_first_token(to_s(end_ns) - request.arrival_s, request.input_tokens, sequence.given_tokens)
            reported_tokens += request.input_tokens - sequence.given_tokens
            self._report(EventKind.FIRST_TOKEN, sequence, end_ns)
        self._batch.end_prefill(sequence)
        if sequence.generated_tokens == request.output_tokens:
            self._finish(sequence, end_ns)
        return reported_tokens

    def _finish(self, sequence: Sequence, end_ns: int) -> None:
        self._batch.finish(sequence)
        ended = sequence.to_ended(RequestOutcome.FINISHED, end_ns)
        self.counters.count_finished(ended, sequence.given_tokens)
        self._report(EventKind.FINISHED, sequence, end_ns, ended)

    def _report(self, kind: EventKind, sequence: Sequence, time_ns: int, ended: EndedRequest | None = None) -> None:
        """Note an event of a request that does not decode."""
        if ended is None and not self._tells_tokens:
            return
        tokens = sequence.generated_tokens - sequence.delivered_tokens
        sequence.delivered_tokens = sequence.generated_tokens
        self._events.append(EngineEvent(kind, sequence.request.request_id, to_s(time_ns), tokens, ended))

    def _check_request(self, request: EngineRequest) -> None:
        if request.request_id in self._batch.running or request.request_id in self._batch.waiting:
            raise InvalidInput("request_id", "unique among the requests in the engine", request.request_id)
        if request.input_tokens < 1:
            raise InvalidInput("input_tokens", ">= 1 [tokens]", request.input_tokens)
        if request.output_tokens < 1:
            raise InvalidInput("output_tokens", ">= 1 [tokens]", request.output_tokens)
        tokens = request.input_tokens + request.output_tokens
        if tokens > self.max_request_tokens:
            raise InvalidInput("input_tokens + output_tokens", f"<= {self.max_request_tokens} [tokens]", tokens)
