"""Saturation: cuts what is added to the accelerators that are free; the most crowded variant first.

Quirk kept: a grant takes all that is left of the accelerators it asked for, even those that make no whole replica.

The peer in the simulator runs it under V1 where it is told a quota; limits of the product hold for every policy.

Source: llm-d workload-variant-autoscaler b08b1c7 (2026-02-19), accelerator limiter (off by default, V1 only).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GrowthAsk:
    """What is asked for one variant.

    Attributes
    ----------
    name, accelerator, accelerators_per_replica
        Which variant, and what a replica of it occupies.
    current_replicas, target_replicas
        What there is and what is wanted.
    spare_kv_ratio
        Mean spare KV cache of its replicas [0-1]: the least goes first.
    cost
        Price of one replica in any unit: breaks ties.
    """

    name: str
    accelerator: str
    accelerators_per_replica: int
    current_replicas: int
    target_replicas: int
    spare_kv_ratio: float
    cost: float


@dataclass(frozen=True, slots=True)
class Grant:
    """What one variant gets: its target, the accelerators given, and whether that is less than asked for."""

    target_replicas: int
    accelerators: int
    is_limited: bool


def limit_growth(
    asks: Sequence[GrowthAsk], free_accelerators: Mapping[str, int]
) -> tuple[dict[str, Grant], dict[str, int]]:
    """Return what each variant gets, and the accelerators that are free after it, by type."""
    free = dict(free_accelerators)
    grants = {ask.name: Grant(ask.target_replicas, 0, False) for ask in asks}
    growing = [ask for ask in asks if ask.target_replicas > ask.current_replicas]
    for ask in sorted(growing, key=lambda entry: (entry.spare_kv_ratio, entry.cost, entry.name)):
        wanted = (ask.target_replicas - ask.current_replicas) * ask.accelerators_per_replica
        taken = min(free.get(ask.accelerator, 0), wanted)
        free[ask.accelerator] = free.get(ask.accelerator, 0) - taken
        added = taken // ask.accelerators_per_replica
        target = ask.current_replicas + added
        grants[ask.name] = Grant(target, added * ask.accelerators_per_replica, target < ask.target_replicas)
    return grants, free
