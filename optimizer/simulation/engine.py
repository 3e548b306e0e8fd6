"""One replica at token level: continuous batching with chunked prefill, a paged KV cache and preemption.

    every iteration:  each decoding request gets one token; what is left of the token budget computes prompts,
                      those begun first, then waiting requests in order of arrival
    its time:         t(n decoding requests, their K context tokens, P prompt tokens computed)

It is driven by the times it is handed: it reads no clock, and its results do not depend on how often it is driven.
"""

from __future__ import annotations

from collections import OrderedDict

from optimizer.errors import InvalidInput
from optimizer.simulation.counts import EngineCounters, HistogramEdges
from optimizer.simulation.decode_batch import DecodeBatch
from optimizer.simulation.kv_blocks import KvBlocks
from optimizer.simulation.limits import EngineLimits
from optimizer.simulation.request import EndedRequest, EngineEvent, EngineRequest, EventKind, RequestOutcome
from optimizer.simulation.sequence import Sequence
from optimizer.simulation.step_time import StepTime


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

    Attributes
    ----------
    limits
        As given.
    counters
        What it counted since `start_s`.
    time_s
        How far it was driven [s].

    Notes
    -----
    An iteration begins when the one before ends or, from idle, when a request arrives; its batch is fixed then. A
    request that arrives at the very end of an iteration misses the next one. A client that leaves frees its place at
    once; the running iteration still ends when it would have.

    Source: the scheduler of vLLM 0.32: first come first served, last admitted preempted first and computed anew.
    """

    def __init__(
        self, step_time: StepTime, limits: EngineLimits, start_s: float = 0.0, edges: HistogramEdges | None = None
    ) -> None:
        self.limits = limits
        self.counters = EngineCounters(edges or HistogramEdges())
        self.time_s = start_s
        self._step_time = step_time
        self._kv = KvBlocks(limits.kv_capacity_tokens, limits.block_tokens)
        self._decode = DecodeBatch(limits.block_tokens)
        self._waiting: OrderedDict[str, Sequence] = OrderedDict()
        self._running: OrderedDict[str, Sequence] = OrderedDict()  # in order of admission
        self._prefilling: list[Sequence] = []  # those of the batch that do not decode yet
        self._chunks: list[tuple[Sequence, int]] = []  # prompt tokens the running iteration computes
        self._begin_s = start_s
        self._end_s: float | None = None
        self._events: list[EngineEvent] = []

    @property
    def next_event_s(self) -> float | None:
        """When the running iteration ends [s], None while idle."""
        return self._end_s

    @property
    def running_requests(self) -> int:
        """Requests in the batch, prefilling or decoding."""
        return len(self._running)

    @property
    def waiting_requests(self) -> int:
        """Requests queued, preempted ones included."""
        return len(self._waiting)

    @property
    def kv_used_ratio(self) -> float:
        """Share of the KV blocks in use [0-1]."""
        return self._kv.used_ratio

    @property
    def kv_used_tokens(self) -> int:
        """Size of the KV blocks in use [tokens]."""
        return (self._kv.total - self._kv.free) * self._kv.block_tokens

    @property
    def max_request_tokens(self) -> int:
        """Longest prompt plus output that fits [tokens]."""
        return self._kv.total * self._kv.block_tokens

    @property
    def context_tokens(self) -> int:
        """Context of the decoding requests together [tokens]."""
        return self._decode.context_tokens

    def submit(self, request: EngineRequest) -> bool:
        """Take `request` in and return True, or count a rejection and return False when the queue is full.

        Raises
        ------
        InvalidInput
            When it arrives in the past, bears the name of one that is in the engine, has no tokens, or could never fit.
        """
        self._check_request(request)
        self._drive(request.arrival_s)
        limit = self.limits.max_queued_requests
        if limit is not None and len(self._running) + len(self._waiting) >= limit:
            self.counters.rejected += 1
            return False
        self.counters.accepted += 1
        self._waiting[request.request_id] = Sequence(request)
        if self._end_s is None:
            self._begin_iteration(request.arrival_s)
        return True

    def cancel(self, request_id: str, now_s: float) -> EndedRequest | None:
        """Drop a request whose client left at `now_s` [s]; return its record, None when it is not there."""
        self._drive(now_s)
        sequence = self._waiting.pop(request_id, None)
        if sequence is None:
            sequence = self._running.pop(request_id, None)
            if sequence is None:
                return None
            self._release(sequence)
        self.counters.left += 1
        return sequence.to_ended(RequestOutcome.LEFT, now_s)

    def advance(self, now_s: float) -> list[EngineEvent]:
        """Drive to `now_s` [s] and return what happened since the last call.

        First tokens, preemptions and ends come in the order of time, then one ``tokens`` event for every other request
        that got tokens, with the time of its last one.

        Raises
        ------
        InvalidInput
            When `now_s` lies in the past.
        """
        self._drive(now_s)
        events, self._events = self._events, []
        count_undelivered = self._decode.count_undelivered
        for request_id, sequence in self._running.items():
            if tokens := count_undelivered(sequence):
                sequence.delivered_tokens += tokens
                events.append(EngineEvent(EventKind.TOKENS, request_id, self._begin_s, tokens))
        return events

    def _drive(self, now_s: float) -> None:
        if now_s < self.time_s:
            raise InvalidInput("time", f">= {self.time_s} [s], as it does not run backwards", now_s)
        while self._end_s is not None and self._end_s <= now_s:
            end_s = self._end_s
            self._end_iteration(end_s)
            self._begin_iteration(end_s)
        self.time_s = now_s

    def _begin_iteration(self, time_s: float) -> None:
        """Fix the batch of the iteration that begins at `time_s`, or become idle."""
        preemptions = self.counters.preemptions
        self._make_room_for_decoding(time_s)
        self._chunks = []
        budget = self.limits.max_batched_tokens - self._decode.size
        for sequence in tuple(self._prefilling):
            budget -= self._continue_prefill(sequence, budget, time_s)
        if preemptions == self.counters.preemptions:
            self._admit(budget, time_s)
        self._begin_s = time_s
        if not self._decode.size and not self._chunks:
            self._end_s = None
            return
        prompt_tokens = sum(tokens for _, tokens in self._chunks)
        decode = self._decode
        self._end_s = time_s + self._step_time.compute_iteration_s(decode.size, decode.context_tokens, prompt_tokens)

    def _make_room_for_decoding(self, time_s: float) -> None:
        """Take the blocks that the next token of every decoding request needs, from the last admitted if need be."""
        while (growth := self._decode.count_growth()) > self._kv.free:
            self._preempt_last(time_s)
        self._kv.take(growth)
        self._decode.grow()

    def _continue_prefill(self, sequence: Sequence, budget: int, time_s: float) -> int:
        """Give `sequence` its next chunk within `budget`, and return its size [tokens]."""
        if sequence.request.request_id not in self._running or budget == 0:
            return 0
        while (tokens := self._fit_chunk(sequence, budget)) == 0:
            if self._preempt_last(time_s) is sequence:
                return 0
        self._start_chunk(sequence, tokens)
        return tokens

    def _admit(self, budget: int, time_s: float) -> None:
        """Move waiting requests into the batch while places, budget and blocks last."""
        while budget and self._waiting and len(self._running) < self.limits.max_running_requests:
            request_id, sequence = next(iter(self._waiting.items()))
            tokens = self._fit_chunk(sequence, budget)
            if tokens == 0:
                return
            del self._waiting[request_id]
            self._running[request_id] = sequence
            self._prefilling.append(sequence)
            if sequence.scheduled_s is None:
                sequence.scheduled_s = time_s
                self.counters.queried_tokens += sequence.request.input_tokens
                self.counters.hit_tokens += sequence.cached_tokens
            self.counters.prefill_hit_tokens += sequence.cached_tokens
            self._start_chunk(sequence, tokens)
            budget -= tokens

    def _fit_chunk(self, sequence: Sequence, budget: int) -> int:
        """Return the prompt tokens `sequence` computes next within `budget`; 0 when there are no blocks for them."""
        tokens = min(sequence.target_tokens - sequence.computed_tokens, budget)
        blocks = self._kv.count_blocks(sequence.computed_tokens + tokens)
        return tokens if blocks - sequence.blocks <= self._kv.free else 0

    def _start_chunk(self, sequence: Sequence, tokens: int) -> None:
        blocks = self._kv.count_blocks(sequence.computed_tokens + tokens)
        self._kv.take(blocks - sequence.blocks)
        sequence.blocks = blocks
        self._chunks.append((sequence, tokens))

    def _preempt_last(self, time_s: float) -> Sequence:
        """Send the request admitted last back to the head of the queue, to be computed anew, and return it."""
        request_id, sequence = self._running.popitem()
        if sequence.base is not None:
            sequence.last_token_s = time_s
        self._release(sequence)
        sequence.restart()
        self.counters.preemptions += 1
        self._waiting[request_id] = sequence
        self._waiting.move_to_end(request_id, last=False)
        self._report(EventKind.PREEMPTED, sequence, time_s)
        return sequence

    def _release(self, sequence: Sequence) -> None:
        """Take `sequence`, no longer in the batch, out of its other books and free its blocks."""
        if sequence.base is not None:
            self._kv.give_back(self._decode.leave(sequence))
            return
        self._prefilling.remove(sequence)
        self._chunks = [chunk for chunk in self._chunks if chunk[0] is not sequence]
        self._kv.give_back(sequence.blocks)
        sequence.blocks = 0

    def _end_iteration(self, end_s: float) -> None:
        """Hand out the tokens of the iteration that ends at `end_s`."""
        counters, decoded = self.counters, self._decode.size
        counters.iterations += 1
        counters.prefill_iterations += bool(self._chunks)
        counters.generated_tokens += decoded
        counters.decoded_tokens += decoded
        if decoded:
            counters.itl.observe(end_s - self._begin_s, decoded)
        for sequence, blocks in self._decode.step():
            sequence.blocks = blocks
            self._finish(sequence, end_s)
        output_tokens = decoded
        for sequence, tokens in self._chunks:
            counters.prefilled_tokens += tokens
            sequence.computed_tokens += tokens
            if sequence.computed_tokens == sequence.target_tokens:
                output_tokens += self._complete_prefill(sequence, end_s)
        if output_tokens:
            counters.iteration_tokens.observe(output_tokens)

    def _complete_prefill(self, sequence: Sequence, end_s: float) -> int:
        """Hand out the token that a prefill yields; return the tokens the iteration reports for it."""
        counters, request = self.counters, sequence.request
        self._prefilling.remove(sequence)
        sequence.generated_tokens += 1
        counters.generated_tokens += 1
        reported_tokens = 1
        if sequence.first_token_s is None:
            sequence.first_token_s = end_s
            counters.count_first_token(end_s - request.arrival_s, request.input_tokens, sequence.cached_tokens)
            reported_tokens += request.input_tokens - sequence.cached_tokens
            self._report(EventKind.FIRST_TOKEN, sequence, end_s)
        else:
            assert sequence.last_token_s is not None
            counters.itl.observe(end_s - sequence.last_token_s)
        if sequence.generated_tokens == request.output_tokens:
            self._finish(sequence, end_s)
        else:
            self._decode.enter(sequence)
        return reported_tokens

    def _finish(self, sequence: Sequence, end_s: float) -> None:
        del self._running[sequence.request.request_id]
        self._kv.give_back(sequence.blocks)
        ended = sequence.to_ended(RequestOutcome.FINISHED, end_s)
        self.counters.count_finished(ended, sequence.cached_tokens)
        self._report(EventKind.FINISHED, sequence, end_s, ended)

    def _report(self, kind: EventKind, sequence: Sequence, time_s: float, ended: EndedRequest | None = None) -> None:
        """Note an event of a request that does not decode."""
        tokens = sequence.generated_tokens - sequence.delivered_tokens
        sequence.delivered_tokens = sequence.generated_tokens
        self._events.append(EngineEvent(kind, sequence.request.request_id, time_s, tokens, ended))

    def _check_request(self, request: EngineRequest) -> None:
        if request.request_id in self._running or request.request_id in self._waiting:
            raise InvalidInput("request_id", "unique among the requests in the engine", request.request_id)
        if request.input_tokens < 1:
            raise InvalidInput("input_tokens", ">= 1 [tokens]", request.input_tokens)
        if request.output_tokens < 1:
            raise InvalidInput("output_tokens", ">= 1 [tokens]", request.output_tokens)
        tokens = request.input_tokens + request.output_tokens
        if tokens > self.max_request_tokens:
            raise InvalidInput("input_tokens + output_tokens", f"<= {self.max_request_tokens} [tokens]", tokens)
