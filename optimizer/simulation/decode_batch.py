"""The decoding requests of a batch, moved on together: an iteration costs the same for one as for a thousand.

Every decoding request gets one token an iteration, so all that differs between them is fixed when they enter:

    generated(T) = T - base               after T iterations
    context(T)   = input + T - base       summed over n requests: S + n*T with S = sum(input - base)
    finished at  T = base + output
    a new KV block (of q tokens) is needed in iteration T when input + T - base = 1 modulo q

It moves no request by itself and counts blocks without owning them.
"""

from __future__ import annotations

from optimizer.simulation.sequence import Sequence


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

    __slots__ = ("_block_tokens", "_finishing", "_grown", "_offset", "_phases", "iteration", "size")

    def __init__(self, block_tokens: int) -> None:
        self.iteration = 0
        self.size = 0
        self._block_tokens = block_tokens
        self._offset = 0  # S
        self._phases = [0] * block_tokens  # requests by the iteration, modulo q, in which they need a block
        self._finishing: dict[int, list[Sequence]] = {}  # by the T at which they are finished
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
        self._finishing.setdefault(base + output_tokens, []).append(sequence)

    def leave(self, sequence: Sequence) -> int:
        """Take a request out and return the KV blocks it holds."""
        assert sequence.base is not None
        self._finishing[sequence.base + sequence.request.output_tokens].remove(sequence)
        return self._forget(sequence)

    def count_growth(self) -> int:
        """Return the KV blocks that the coming iteration needs anew."""
        return self._phases[self.iteration % self._block_tokens]

    def grow(self) -> None:
        """Note that those blocks were taken."""
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
