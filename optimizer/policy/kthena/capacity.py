"""A needed capacity is spread over a group of unlike targets: blocks by cost over capacity. The policy's own rule.

    the first replicas of the sequence of blocks, after every target has its minimum, until  sum w_i n_i >= need

With equal capacities and the need of K replicas this is what the peer does with a total of K.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from optimizer.errors import InvalidInput
from optimizer.policy.kthena.blocks import GroupTarget, list_blocks

ROUNDING_RATIO = 1e-9
"""A need met up to this share is met: what was added up in another order differs by less."""


@dataclass(frozen=True, slots=True)
class CapacityPlan:
    """Replicas by target, and whether they cover what was needed."""

    replicas: dict[str, int]
    is_covered: bool


def distribute_capacity(
    need_per_s: float, targets: Sequence[GroupTarget], cost_expansion_percent: float
) -> CapacityPlan:
    """Return the replicas that cover `need_per_s` [1/s]; all that the bounds allow when they do not.

    Raises
    ------
    InvalidInput
        When a capacity is not positive.
    """
    for target in targets:
        if not target.capacity_per_s > 0.0:
            raise InvalidInput(f"targets[{target.name}].capacity_per_s", "> 0 [1/s]", target.capacity_per_s)
    weights = {target.name: target.capacity_per_s for target in targets}
    counts = {target.name: target.min_replicas for target in targets}
    left_per_s = need_per_s * (1.0 - ROUNDING_RATIO) - sum(weights[name] * count for name, count in counts.items())
    for block in list_blocks(targets, cost_expansion_percent):
        if left_per_s <= 0.0:
            break
        taken = min(block.replicas, ceil(left_per_s / weights[block.target]))
        counts[block.target] += taken
        left_per_s -= taken * weights[block.target]
    return CapacityPlan(counts, left_per_s <= 0.0)
