"""The decoding requests of a batch, moved on together: k iterations cost the same for one request as for a thousand.

Every decoding request gets one token an iteration, so all that differs between them is fixed when they enter:

    generated(T) = T - base               after T iterations
    context(T)   = input + T - base       summed over n requests: S + n*T with S = sum(input - base)
    finished at  T = base + output
    a new KV block (of q tokens) is needed in iteration T when input + T - base = 1 modulo q: n blocks in q iterations

It moves no request by itself and counts blocks without owning them.
"""

from __future__ import annotations

from heapq import heappop, heappush

from optimizer.simulation.sequence import Sequence
from optimizer.simulation.steps import ENDLESS


class DecodeBatch:
    """The decoding requests of one engine.

    Parameters
    ----------
    block_tokens
        q, size of a KV block [tokens].

    Attributes
    ----------
    iteration
        T, iterations ended so far.
    size
        n, requests decoding.
    """

    __slots__ = ("_block_tokens", "_ends", "_finishing", "_grown", "_offset", "_phases", "iteration", "size")

    def __init__(self, block_tokens: int) -> None:
        self.iteration = 0
        self.size = 0
        self._block_tokens = block_tokens
        self._offset = 0  # S
        self._phases = [0] * block_tokens  # requests by the iteration, modulo q, in which they need a block
        self._finishing: dict[int, list[Sequence]] = {}  # by the T at which they are finished
        self._ends: list[int] = []  # heap of those T, some of which may be void by now
        self._grown = -1  # the iteration for which the blocks were taken last

    @property
    def context_tokens(self) -> int:
        """Context the requests hold together in the coming iteration [tokens]."""
        return self._offset + self.size * self.iteration

    def enter(self, sequence: Sequence) -> None:
        """Add a request whose prompt is computed and whose blocks hold it without the newest token."""
        base = sequence.base = self.iteration - sequence.generated_tokens
        sequence.blocks = 0  # from here on they follow from `base`
        input_tokens, output_tokens = sequence.request.input_tokens, sequence.request.output_tokens
        self.size += 1
        self._offset += input_tokens - base
        self._phases[(base + 1 - input_tokens) % self._block_tokens] += 1
        end = base + output_tokens
        if (finishing := self._finishing.get(end)) is not None:
            finishing.append(sequence)
            return
        self._finishing[end] = [sequence]
        heappush(self._ends, end)

    def leave(self, sequence: Sequence) -> int:
        """Take a request out and return the KV blocks it holds."""
        assert sequence.base is not None
        end = sequence.base + sequence.request.output_tokens
        finishing = self._finishing[end]
        finishing.remove(sequence)
        if not finishing:
            del self._finishing[end]
        return self._forget(sequence)

    def count_until_finish(self) -> int:
        """Return the iterations after which the next request is finished."""
        ends, finishing = self._ends, self._finishing
        while ends and ends[0] not in finishing:
            heappop(ends)
        return ends[0] - self.iteration if ends else ENDLESS

    def count_growth(self, first: int, count: int) -> int:
        """Return the KV blocks that `count` iterations need anew, the first of them `first` after the coming one."""
        if count == 1:
            return self._phases[(self.iteration + first) % self._block_tokens]
        cycles, rest = divmod(count, self._block_tokens)
        blocks = cycles * self.size
        if rest:
            start = (self.iteration + first) % self._block_tokens
            end = start + rest
            blocks += sum(self._phases[start:end]) + sum(self._phases[: max(end - self._block_tokens, 0)])
        return blocks

    def count_fitting(self, count: int, free_blocks: int) -> int:
        """Return how many of the `count` iterations behind the coming one can grow into `free_blocks`."""
        block_tokens, phases = self._block_tokens, self._phases
        if (count // block_tokens + 1) * self.size <= free_blocks:
            return count
        cycles = free_blocks // self.size
        fitting, free_blocks = cycles * block_tokens, free_blocks % self.size
        while fitting < count:
            free_blocks -= phases[(self.iteration + 1 + fitting) % block_tokens]
            if free_blocks < 0:
                return fitting
            fitting += 1
        return count

    def grow(self) -> None:
        """Note that the blocks of the coming iteration were taken."""
        self._grown = self.iteration

    def skip(self, count: int) -> None:
        """End `count` iterations in which none finishes, and note the growth up to the one that is coming then."""
        self.iteration += count
        self._grown = self.iteration

    def step(self) -> list[tuple[Sequence, int]]:
        """End the iteration; take out the requests that finished and return them with the blocks they hold."""
        self.iteration += 1
        finished = self._finishing.pop(self.iteration, ())
        return [(sequence, self._forget(sequence)) for sequence in finished]

    def count_undelivered(self, sequence: Sequence) -> int:
        """Return the tokens of `sequence` that no event has reported, 0 when it does not decode."""
        if sequence.base is None:
            return 0
        return self.iteration - sequence.base - sequence.delivered_tokens

    def _forget(self, sequence: Sequence) -> int:
        base, input_tokens = sequence.base, sequence.request.input_tokens
        assert base is not None
        self.size -= 1
        self._offset -= input_tokens - base
        self._phases[(base + 1 - input_tokens) % self._block_tokens] -= 1
        sequence.generated_tokens = self.iteration - base
        sequence.base = None
        return -(-(input_tokens + self._grown - base) // self._block_tokens)
