"""Saturation V2: which variant grows or shrinks, by price per capacity; each LLM for itself.

    required > 0: the variant of least cost / P gets ceil(required / P)
    spare > 0:    from the dearest down: min(floor(left / P), replicas - floor)

Quirks kept: the first variant covers all, though a mix may be cheaper; a price of 0, as of a variant that nobody has
seen, wins every time. It knows no bounds, no start-up and no promise.

Source: llm-d workload-variant-autoscaler b08b1c7 (2026-02-19), cost-aware optimizer; with `max_replicas`, release 0.9.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PricedVariant:
    """One variant to choose from.

    Attributes
    ----------
    name, cost
        Its name, and the price of one replica in any unit.
    current_replicas
        Replicas that exist, ready or not.
    capacity_tokens
        P: KV tokens that one replica carries; 0 when not known.
    min_replicas, max_replicas
        Bounds, which the peer keeps from release 0.9 on: growth moves on to the next variant at the maximum.
    """

    name: str
    cost: float
    current_replicas: int
    capacity_tokens: float
    min_replicas: int = 0
    max_replicas: int | None = None


def choose_replicas(variants: Sequence[PricedVariant], required_tokens: float, spare_tokens: float) -> dict[str, int]:
    """Return the replicas of each variant after meeting `required_tokens`, else after giving `spare_tokens` back."""
    targets = {variant.name: variant.current_replicas for variant in variants}
    if required_tokens > 0.0:
        _grow(variants, required_tokens, targets)
    elif spare_tokens > 0.0:
        _shrink(variants, spare_tokens, targets)
    return targets


def _grow(variants: Sequence[PricedVariant], required_tokens: float, targets: dict[str, int]) -> None:
    usable = [variant for variant in variants if variant.capacity_tokens > 0.0]
    left_tokens = required_tokens
    for variant in sorted(usable, key=lambda entry: (entry.cost / entry.capacity_tokens, entry.name)):
        if left_tokens <= 0.0:
            return
        wanted = math.ceil(left_tokens / variant.capacity_tokens)
        room = math.inf if variant.max_replicas is None else max(variant.max_replicas - targets[variant.name], 0)
        added = int(min(wanted, room))
        targets[variant.name] += added
        left_tokens -= added * variant.capacity_tokens


def _shrink(variants: Sequence[PricedVariant], spare_tokens: float, targets: dict[str, int]) -> None:
    cheapest = min(variants, key=lambda entry: (entry.cost, entry.name))
    left_tokens = spare_tokens
    for variant in sorted(variants, key=lambda entry: (-entry.cost, entry.name)):
        if variant.capacity_tokens <= 0.0:
            continue
        others = sum(count for name, count in targets.items() if name != variant.name)
        floor = max(1 if variant is cheapest and others == 0 else 0, variant.min_replicas)
        removed = min(math.floor(left_tokens / variant.capacity_tokens), targets[variant.name] - floor)
        if removed > 0:
            targets[variant.name] -= removed
            left_tokens -= removed * variant.capacity_tokens
