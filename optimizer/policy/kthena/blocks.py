"""A total number of replicas is spread over a group of unlike targets, in blocks of growing length by cost.

    rate 100 %        one block per target, all that lies between its bounds; its price is that of **one** replica
    any other rate    blocks of floor((rate / 100)^k) replicas, k = 0, 1, 2, ..., at least 1; their price is their cost

Blocks are taken cheapest first, equals in the order of their targets, after every target has its minimum. So the
answer is the first K of one fixed sequence: monotone in K, and without memory.

Source
------
Kthena's heterogeneous target at 3cc057284c34 (2026-08-21). Its guide calls the rate a spending limit; there is none in
what it does: a rate up to 100 % fills the cheapest type first, 200 % doubles and interleaves types. Replicas of all
targets count as equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optimizer.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class GroupTarget:
    """One member of a group.

    Attributes
    ----------
    name
        Unique within the group.
    cost_per_replica
        Price of a replica, in any one unit for all [>= 0].
    min_replicas, max_replicas
        Bounds.
    capacity_per_s
        What a replica is good for [1/s], > 0, or any figure in proportion to it; the peer knows only equal ones.
    """

    name: str
    cost_per_replica: float
    min_replicas: int
    max_replicas: int
    capacity_per_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Block:
    """Replicas of one target that are added in a row.

    Attributes
    ----------
    target
        Name of the target.
    position
        Its place in the group.
    replicas
        How many.
    block_cost
        What the block is ordered by: its price over the capacity of one of its replicas.
    """

    target: str
    position: int
    replicas: int
    block_cost: float


def list_blocks(targets: Sequence[GroupTarget], cost_expansion_percent: float) -> tuple[Block, ...]:
    """Return the blocks of a group in the order in which they are filled.

    Raises
    ------
    InvalidInput
        When two targets have one name.
    """
    names = [target.name for target in targets]
    if len(set(names)) != len(names):
        raise InvalidInput("targets", "of different names", names)
    blocks = [
        Block(target.name, position, length, cost / target.capacity_per_s)
        for position, target in enumerate(targets)
        for length in list_lengths(target.max_replicas - target.min_replicas, cost_expansion_percent)
        for cost in (target.cost_per_replica * (1 if cost_expansion_percent == 100 else length),)
    ]
    return tuple(sorted(blocks, key=lambda block: (block.block_cost, block.position)))


def list_lengths(room_replicas: int, cost_expansion_percent: float) -> list[int]:
    """Return the lengths of the blocks that fill `room_replicas` of one target; the last is cut to what remains."""
    if room_replicas <= 0:
        return []
    if cost_expansion_percent == 100:
        return [room_replicas]
    lengths, growing = list[int](), 1.0
    while room_replicas > 0:
        length = min(room_replicas, max(int(min(growing, room_replicas)), 1))
        lengths.append(length)
        room_replicas -= length
        growing *= cost_expansion_percent / 100
    return lengths


def distribute(total_replicas: int, targets: Sequence[GroupTarget], cost_expansion_percent: float) -> dict[str, int]:
    """Return replicas by target for a total of them, clamped to what the bounds allow together."""
    counts = {target.name: target.min_replicas for target in targets}
    left = max(total_replicas - sum(counts.values()), 0)
    for block in list_blocks(targets, cost_expansion_percent):
        taken = min(left, block.replicas)
        counts[block.target] += taken
        left -= taken
    return counts
