"""Dynamo planner, generation 2: what pools of prefill and decode replicas may occupy, a band of accelerators.

The band is [min - tolerance, max], the tolerance that of one replica where both ends are set; -1 switches an end off.

    shrink   P = max(p_min, min(floor((max - d_min g_d) / g_p), floor(P max / total)))
             D = max(d_min, min(D, floor((max - P g_p) / g_d)))
    grow     the same towards min, rounded up

Moves are kept inside: a pure decrease at the floor and a pure increase at the ceiling are held, opposite moves happen
together or not at all, and what is out of the band is repaired first. The ceiling is never exceeded: where not even the
minimum fits, the answer is none at all (as the peer's), unless the ends contradict one another.

Source: NVIDIA Dynamo, accelerator budget at 15a72ce9d401.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

OFF = -1


class BudgetReason(StrEnum):
    """Why a move was changed."""

    HOLD = "gpu_budget_guard_hold"
    RECONCILE = "gpu_budget_reconcile"


@dataclass(frozen=True, slots=True)
class Pair:
    """Replicas of prefill and decode; a pool of one role has none of the other."""

    prefill: int
    decode: int


@dataclass(frozen=True, slots=True)
class AcceleratorBudget:
    """The band, with what a replica occupies and the least replicas of each pool.

    Attributes
    ----------
    prefill_accelerators, decode_accelerators
        g_p and g_d: of one replica; 0 is not known, and then nothing is bounded.
    min_accelerators, max_accelerators
        Ends of the band, -1 for none.
    min_prefill, min_decode
        Least replicas.
    """

    prefill_accelerators: int
    decode_accelerators: int
    min_accelerators: int = OFF
    max_accelerators: int = OFF
    min_prefill: int = 1
    min_decode: int = 1

    @property
    def has_floor(self) -> bool:
        """Whether there is a lower end."""
        return self.min_accelerators >= 0

    @property
    def has_ceiling(self) -> bool:
        """Whether there is an upper end."""
        return self.max_accelerators >= 0

    @property
    def is_void(self) -> bool:
        """Whether nothing is bounded: no end, contradicting ends, or accelerators not known."""
        contradicts = self.has_floor and self.has_ceiling and self.min_accelerators > self.max_accelerators
        is_known = self.prefill_accelerators > 0 and self.decode_accelerators > 0
        return contradicts or not is_known or not (self.has_floor or self.has_ceiling)

    @property
    def lowest(self) -> int:
        """Lower edge of the band with its tolerance."""
        if not self.has_floor:
            return 0
        tolerance = max(self.prefill_accelerators, self.decode_accelerators) if self.has_ceiling else 0
        return self.min_accelerators - tolerance

    def count(self, pair: Pair) -> int:
        """Return the accelerators of `pair`."""
        return pair.prefill * self.prefill_accelerators + pair.decode * self.decode_accelerators

    def is_above(self, pair: Pair) -> bool:
        """Whether `pair` exceeds the ceiling."""
        return self.has_ceiling and self.count(pair) > self.max_accelerators

    def is_below(self, pair: Pair) -> bool:
        """Whether `pair` lies under the floor by more than the tolerance."""
        return self.has_floor and self.count(pair) < self.lowest


def clamp_pair(pair: Pair, budget: AcceleratorBudget) -> Pair:
    """Return `pair` inside the band; (0, 0) when not even the least replicas fit under the ceiling."""
    if budget.is_void:
        return pair
    least = Pair(budget.min_prefill, budget.min_decode)
    if budget.is_above(least):
        return Pair(0, 0)
    if budget.is_above(pair):
        return _shrink(pair, budget)
    return _grow(pair, budget) if budget.is_below(pair) else pair


def _shrink(pair: Pair, budget: AcceleratorBudget) -> Pair:
    most, g_p, g_d = budget.max_accelerators, budget.prefill_accelerators, budget.decode_accelerators
    room = (most - budget.min_decode * g_d) // g_p
    prefill = max(budget.min_prefill, min(room, pair.prefill * most // budget.count(pair)))
    return Pair(prefill, max(budget.min_decode, min(pair.decode, (most - prefill * g_p) // g_d)))


def _grow(pair: Pair, budget: AcceleratorBudget) -> Pair:
    least, g_p, g_d = budget.min_accelerators, budget.prefill_accelerators, budget.decode_accelerators
    start = Pair(max(pair.prefill, budget.min_prefill), max(pair.decode, budget.min_decode))
    prefill = max(start.prefill, math.ceil(start.prefill * least / budget.count(start)))
    grown = Pair(prefill, max(start.decode, math.ceil((least - prefill * g_p) / g_d)))
    return _shrink(grown, budget) if budget.is_above(grown) else grown


def fit_pair(current: Pair, proposed: Pair, budget: AcceleratorBudget) -> Pair:
    """Return as much of the move from `current` to `proposed` as the band has room for; growth shares it in proportion.

    What shrinks pays for what grows; what would fall under the floor is not taken.
    """
    if budget.is_void:
        return proposed
    kept = Pair(min(current.prefill, proposed.prefill), min(current.decode, proposed.decode))
    asks = ((proposed.prefill - kept.prefill), (proposed.decode - kept.decode))
    g_p, g_d = budget.prefill_accelerators, budget.decode_accelerators
    asked = asks[0] * g_p + asks[1] * g_d
    fitted = proposed
    if budget.has_ceiling and budget.count(kept) + asked > budget.max_accelerators and asked > 0:
        room = max(budget.max_accelerators - budget.count(kept), 0)
        prefill = min(asks[0], room * asks[0] // asked)
        decode = min(asks[1], (room - prefill * g_p) // g_d) if asks[1] else 0
        fitted = Pair(kept.prefill + prefill, kept.decode + decode)
    return current if budget.is_below(fitted) and budget.count(fitted) < budget.count(current) else fitted


def guard_pair(current: Pair, proposed: Pair, budget: AcceleratorBudget) -> tuple[Pair, BudgetReason | None]:
    """Return the move of one step inside the band, and why it is another than the proposed one."""
    if budget.is_void:
        return proposed, None
    if budget.is_above(current) or budget.is_below(current):
        return clamp_pair(current, budget), BudgetReason.RECONCILE
    steps = (proposed.prefill - current.prefill, proposed.decode - current.decode)
    if not any(steps):
        return current, None
    is_held = budget.is_above(proposed) or budget.is_below(proposed)
    if max(steps) <= 0 and budget.has_floor:
        is_held = is_held or budget.count(current) <= budget.min_accelerators
    elif min(steps) >= 0 and budget.has_ceiling:
        is_held = is_held or budget.count(current) >= budget.max_accelerators
    return (current, BudgetReason.HOLD) if is_held else (proposed, None)


def guard_single(
    current: int, proposed: int, accelerators: int, band: tuple[int, int], min_replicas: int = 1
) -> tuple[int, BudgetReason | None]:
    """Return the move of one pool inside `band` (its ends, -1 for none), and why it is another than proposed."""
    lowest, highest = band
    budget = AcceleratorBudget(accelerators, accelerators, lowest, highest, min_replicas, 0)
    pair, reason = guard_pair(Pair(current, 0), Pair(proposed, 0), budget)
    return pair.prefill + pair.decode, reason
