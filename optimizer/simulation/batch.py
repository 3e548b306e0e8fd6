"""Which requests an iteration of a replica serves, and what of them: places, token budget, KV blocks. No time passes.

every iteration:  each decoding request gets one token; what is left of the token budget computes prompts,
                  those begun first, then waiting requests in order of arrival
short of blocks:  the request admitted last gives way, to be computed anew
"""

from __future__ import annotations

from collections import OrderedDict

from optimizer.simulation.decode_batch import DecodeBatch
from optimizer.simulation.kv_blocks import KvBlocks
from optimizer.simulation.limits import EngineLimits
from optimizer.simulation.sequence import Sequence


class Batch:
    """The requests of one engine: those in the batch, and those that wait for it.

    Parameters
    ----------
    limits
        What fits.

    Attributes
    ----------
    waiting, running
        Requests queued and in the batch, by their name, in order of arrival and of admission.
    decode
        Those of the batch that decode.
    kv
        The KV blocks.
    chunks
        Prompt tokens that the running iteration computes.
    admitted, preempted
        Requests that came into the batch, and that gave way, when the running iteration was fixed.
    """

    __slots__ = ("_limits", "_prefilling", "admitted", "chunks", "decode", "kv", "preempted", "running", "waiting")

    def __init__(self, limits: EngineLimits) -> None:
        self._limits = limits
        self.waiting: OrderedDict[str, Sequence] = OrderedDict()
        self.running: OrderedDict[str, Sequence] = OrderedDict()
        self.decode = DecodeBatch(limits.block_tokens)
        self.kv = KvBlocks(limits.kv_capacity_tokens, limits.block_tokens)
        self.chunks: list[tuple[Sequence, int]] = []
        self.admitted: list[Sequence] = []
        self.preempted: list[Sequence] = []
        self._prefilling: list[Sequence] = []  # those of the batch that do not decode yet

    def fix(self) -> None:
        """Decide what the coming iteration does."""
        self.chunks, self.admitted, self.preempted = [], [], []
        self._make_room_for_decoding()  # the books of those that decode count iterations without them, too
        budget = self._limits.max_batched_tokens - self.decode.size
        for sequence in tuple(self._prefilling):
            budget -= self._continue_prefill(sequence, budget)
        if self.waiting and not self.preempted:
            self._admit(budget)

    def count_staying(self) -> int:
        """Return for how many iterations `fix` would decide the same: one as long as prompts are computed.

        Else until a request finishes or blocks run short.
        """
        if self.chunks or self.preempted:
            return 1
        count = self.decode.count_until_finish()
        return 1 + self.decode.count_fitting(count - 1, self.kv.free) if count > 1 else 1

    def skip(self, count: int) -> None:
        """End `count` iterations after which it stays as it is, and take the blocks of what comes."""
        self.kv.take(self.decode.count_growth(1, count))
        self.decode.skip(count)

    def has_room(self, sequence: Sequence) -> bool:
        """Tell whether the iteration behind the running one could admit `sequence`."""
        if len(self.running) >= self._limits.max_running_requests:
            return False
        budget = self._limits.max_batched_tokens - self.decode.size
        free = self.kv.free - self.decode.count_growth(1, 1)
        return budget > 0 and self._count_blocks(sequence, min(sequence.uncomputed_tokens, budget)) <= free

    def drop(self, request_id: str) -> Sequence | None:
        """Take a request out, wherever it is, and return it; None when it is not there."""
        sequence = self.waiting.pop(request_id, None)
        if sequence is None:
            sequence = self.running.pop(request_id, None)
            if sequence is not None:
                self._release(sequence)
        return sequence

    def finish(self, sequence: Sequence) -> None:
        """Take out a request that has all its tokens."""
        del self.running[sequence.request.request_id]
        self.kv.give_back(sequence.blocks)

    def end_prefill(self, sequence: Sequence) -> None:
        """Note that a prompt is computed: unless it is finished at that, the request decodes from here on."""
        self._prefilling.remove(sequence)
        if sequence.generated_tokens < sequence.request.output_tokens:
            self.decode.enter(sequence)

    def _make_room_for_decoding(self) -> None:
        """Take the blocks that the next token of every decoding request needs, from the last admitted if need be."""
        while (growth := self.decode.count_growth(0, 1)) > self.kv.free:
            self._preempt_last()
        self.kv.take(growth)
        self.decode.grow()

    def _continue_prefill(self, sequence: Sequence, budget: int) -> int:
        """Give `sequence` its next chunk within `budget`, and return its size [tokens]."""
        if sequence.request.request_id not in self.running or budget == 0:
            return 0
        while (tokens := self._fit_chunk(sequence, budget)) == 0:
            if self._preempt_last() is sequence:
                return 0
        self._start_chunk(sequence, tokens)
        return tokens

    def _admit(self, budget: int) -> None:
        """Move waiting requests into the batch while places, budget and blocks last."""
        waiting, running = self.waiting, self.running
        while budget and waiting and len(running) < self._limits.max_running_requests:
            request_id, sequence = next(iter(waiting.items()))
            tokens = self._fit_chunk(sequence, budget)
            if tokens == 0:
                return
            del waiting[request_id]
            running[request_id] = sequence
            self._prefilling.append(sequence)
            self.admitted.append(sequence)
            self._start_chunk(sequence, tokens)
            budget -= tokens

    def _fit_chunk(self, sequence: Sequence, budget: int) -> int:
        """Return the prompt tokens `sequence` computes next within `budget`; 0 when there are no blocks for them."""
        tokens = min(sequence.uncomputed_tokens, budget)
        return tokens if self._count_blocks(sequence, tokens) <= self.kv.free else 0

    def _count_blocks(self, sequence: Sequence, tokens: int) -> int:
        """Return the KV blocks that `sequence` needs anew to compute `tokens`."""
        return self.kv.count_blocks(sequence.computed_tokens + tokens) - sequence.blocks

    def _start_chunk(self, sequence: Sequence, tokens: int) -> None:
        blocks = self._count_blocks(sequence, tokens)
        self.kv.take(blocks)
        sequence.blocks += blocks
        self.chunks.append((sequence, tokens))

    def _preempt_last(self) -> Sequence:
        """Send the request admitted last back to the head of the queue, to be computed anew, and return it."""
        request_id, sequence = self.running.popitem()
        self._release(sequence)
        sequence.restart()
        self.waiting[request_id] = sequence
        self.waiting.move_to_end(request_id, last=False)
        self.preempted.append(sequence)
        return sequence

    def _release(self, sequence: Sequence) -> None:
        """Take `sequence`, no longer in the batch, out of its other books and free its blocks."""
        if sequence.base is not None:
            self.kv.give_back(self.decode.leave(sequence))
            return
        self._prefilling.remove(sequence)
        self.chunks = [chunk for chunk in self.chunks if chunk[0] is not sequence]
        self.kv.give_back(sequence.blocks)
        sequence.blocks = 0
