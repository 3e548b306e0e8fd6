"""The blocks of a paged KV cache: how many there are and how many are free. Who gets them is not its business."""

from __future__ import annotations

from optimizer.errors import InvalidInput


class KvBlocks:
    """A pool of equal blocks.

    Parameters
    ----------
    capacity_tokens
        Size of the cache [tokens]; one block of it is kept back, as vLLM does.
    block_tokens
        Size of a block [tokens].

    Attributes
    ----------
    total
        Blocks that requests can use.
    free
        Those that none uses.
    """

    __slots__ = ("block_tokens", "free", "total")

    def __init__(self, capacity_tokens: int, block_tokens: int) -> None:
        if block_tokens < 1:
            raise InvalidInput("block_tokens", ">= 1 [tokens]", block_tokens)
        if capacity_tokens < 2 * block_tokens:
            raise InvalidInput("kv_capacity_tokens", f">= two blocks of {block_tokens} [tokens]", capacity_tokens)
        self.block_tokens = block_tokens
        self.total = self.free = capacity_tokens // block_tokens - 1

    @property
    def used_ratio(self) -> float:
        """Share of the blocks in use [0-1]."""
        return (self.total - self.free) / self.total

    @property
    def used_tokens(self) -> int:
        """Size of the blocks in use [tokens]."""
        return (self.total - self.free) * self.block_tokens

    @property
    def total_tokens(self) -> int:
        """Size of all blocks [tokens]."""
        return self.total * self.block_tokens

    def count_blocks(self, tokens: int) -> int:
        """Return the blocks that `tokens` need."""
        return -(-tokens // self.block_tokens)

    def take(self, blocks: int) -> None:
        """Take `blocks`; they must be free."""
        assert 0 <= blocks <= self.free
        self.free -= blocks

    def give_back(self, blocks: int) -> None:
        """Make `blocks` free again."""
        self.free += blocks
        assert self.free <= self.total
