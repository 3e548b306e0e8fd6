"""Order of steps on the way to a plan, such that our own action never takes ready capacity below the need.

1. Ups are published at once and whole.
2. A variant v goes down by one while  sum_w mu_w q_w - mu_v >= n,  with q_w = min(ready, last published, requested),
   reduced by every release of the same pass. Dearest to keep goes first.
3. n is the need that the plan was solved for: solver and sequencer use one number.

What was asked away before, or is asked away but still there, is not counted (`min`): whoever acts on the numbers may be
late, and ready replicas that are about to go are no capacity. It solves nothing and knows no clock.

Source: "capacity never dips", rule 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from optimizer.domain import Hold, Reason, ReasonCode, Routing, VariantKey

TOLERANCE_RATIO = 1e-9
"""Rounding allowed when capacity is compared with the need."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one variant stands, and where its plan wants it.

    Attributes
    ----------
    key
        Which one.
    published_replicas, ready_replicas, requested_replicas
        Last published by us, serving now, and in ``scale.spec`` (None when nobody can tell).
    target_replicas
        In the plan.
    capacity_per_s
        Of one replica, as the plan used it [1/s]; 0 when not known.
    cost_per_hour
        Of one replica [currency/h].
    max_replicas
        Bound that holds whatever else is wanted; None for none.
    is_given
        Whether a person chose `target_replicas`, and we published that: no bound and no limit moves it.
    """

    key: VariantKey
    published_replicas: int
    ready_replicas: int
    requested_replicas: int | None
    target_replicas: int
    capacity_per_s: float
    cost_per_hour: float
    max_replicas: int | None = None
    is_given: bool = False

    @property
    def lasting_replicas(self) -> int:
        """Ready replicas that nobody has asked away: q of the rule."""
        requested = self.published_replicas if self.requested_replicas is None else self.requested_replicas
        return min(self.ready_replicas, self.published_replicas, requested)

    @property
    def keeping_cost(self) -> float:
        """What a unit of its capacity costs; infinite when it has none, so that it goes first."""
        return self.cost_per_hour / self.capacity_per_s if self.capacity_per_s > 0.0 else float("inf")


@dataclass(frozen=True, slots=True)
class Step:
    """What to publish of one variant now; `hold` says why that is not yet the target."""

    key: VariantKey
    replicas: int
    hold: Hold | None = None


def sequence_steps(
    standings: tuple[Standing, ...], need_per_s: float, routing: Routing, least_ready: int = 0
) -> tuple[Step, ...]:
    """Return what to publish of each variant now, in the order of `standings`.

    Parameters
    ----------
    standings
        The variants of one LLM, keys unique.
    need_per_s
        Capacity the plan was solved for [1/s].
    routing
        How capacity adds up: ``uniform`` gives every replica the same rate, so that the slowest in use decides.
    least_ready
        Ready replicas that must remain, whatever the need.
    """
    counts = {entry.key: max(entry.published_replicas, entry.target_replicas) for entry in standings}
    lasting = {entry.key: entry.lasting_replicas for entry in standings}
    capacities = {entry.key: entry.capacity_per_s for entry in standings}
    for entry in sorted(standings, key=lambda entry: (-entry.keeping_cost, entry.key)):
        while counts[entry.key] > entry.target_replicas:
            after = {**lasting, entry.key: max(lasting[entry.key] - 1, 0)}
            # Those that are not ready may go first: then `kept` remain, which counts where the slowest in use decides.
            kept = {other.key: min(other.lasting_replicas, counts[other.key]) for other in standings}
            kept[entry.key] = min(entry.lasting_replicas, counts[entry.key] - 1)
            left_per_s = min(compute_capacity_per_s(left, capacities, routing) for left in (after, kept))
            if left_per_s < need_per_s * (1.0 - TOLERANCE_RATIO) or sum(after.values()) < least_ready:
                break
            lasting = after
            counts[entry.key] -= 1
    ready_per_s = compute_capacity_per_s(lasting, capacities, routing)
    return tuple(_to_step(entry, counts[entry.key], need_per_s, ready_per_s) for entry in standings)


def compute_capacity_per_s(
    replicas: Mapping[VariantKey, int], capacities_per_s: Mapping[VariantKey, float], routing: Routing
) -> float:
    """Return what `replicas` carry together [1/s]; those of unknown capacity count nothing.

    ``weighted`` and ``bucketed`` add up; else every replica gets the same rate: ``sum(y) * min(mu)`` over those in use.
    """
    used = {key: count for key, count in replicas.items() if count > 0 and capacities_per_s.get(key, 0.0) > 0.0}
    if not used:
        return 0.0
    if routing in (Routing.WEIGHTED, Routing.BUCKETED):
        return sum(count * capacities_per_s[key] for key, count in used.items())
    return sum(used.values()) * min(capacities_per_s[key] for key in used)


def _to_step(entry: Standing, count: int, need_per_s: float, ready_per_s: float) -> Step:
    if entry.max_replicas is not None and count > entry.max_replicas:
        return Step(entry.key, entry.max_replicas)
    if count <= entry.target_replicas:
        return Step(entry.key, count)
    message = (
        f"{count - entry.target_replicas} more to release than ready capacity allows: "
        f"{ready_per_s:.3g}/s lasting for a need of {need_per_s:.3g}/s"
    )
    return Step(entry.key, count, Hold(Reason(ReasonCode.WAITING_FOR_READY, message)))
