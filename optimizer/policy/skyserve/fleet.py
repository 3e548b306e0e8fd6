"""A fleet of unlike replicas: how many the arrivals ask for, what is bought and what goes. The policy's own rules.

    C = sum of q over replicas that are ready or on their way
    lambda >= C    those + what must be bought, cheapest per q first, to carry lambda - C
    lambda < C     those that are kept longest, until their sum is strictly above lambda; none when nothing is asked

Removed first is what is furthest from serving, then the dearest per q, the smaller q, the older version, the newer id;
without prices the least capable goes first. What is kept is that order backwards, so what a shrunk fleet still carries
is what was counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from optimizer.domain import Limit, VariantKey
from optimizer.policy.skyserve.replicas import STAGES, Status
from optimizer.solver import compute_use

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Offer:
    """A variant as something that can be bought.

    Attributes
    ----------
    key
        Which one.
    rate_per_s
        What one replica carries [1/s], > 0.
    cost_per_hour
        Price of one replica [currency/h]; None when it has none.
    min_replicas, max_replicas
        Its bounds; `max_replicas` None for no bound.
    """

    key: VariantKey
    rate_per_s: float
    cost_per_hour: float | None = None
    min_replicas: int = 0
    max_replicas: int | None = None

    @property
    def cost_per_rate(self) -> float:
        """Price per request and second [currency/h per 1/s], 0 without a price."""
        return (self.cost_per_hour or 0.0) / self.rate_per_s


@dataclass(frozen=True, slots=True)
class FleetReplica:
    """One replica: what was bought, where it is in its life, and its age among its like."""

    offer: Offer
    status: Status
    id: int = 0
    version: int = 1


@dataclass(frozen=True, slots=True)
class Market:
    """Everything that can be bought, and the limits that all of it together keeps."""

    offers: tuple[Offer, ...]
    limits: tuple[Limit, ...] = ()

    def list_by_price(self) -> list[Offer]:
        """Return the offers, the cheapest per rate first; without a price of every one the largest rate first."""
        if any(offer.cost_per_hour is None for offer in self.offers):
            return sorted(self.offers, key=lambda offer: -offer.rate_per_s)
        return sorted(self.offers, key=lambda offer: (offer.cost_per_rate, -offer.rate_per_s))

    def choose(self, counts: Mapping[VariantKey, int], order: Iterable[Offer] | None = None) -> Offer | None:
        """Return the first offer of which one more finds room beside `counts`, None when none does."""
        ordered = self.list_by_price() if order is None else order
        return next((offer for offer in ordered if self._has_room(offer, counts)), None)

    def _has_room(self, offer: Offer, counts: Mapping[VariantKey, int]) -> bool:
        grown = {**counts, offer.key: counts.get(offer.key, 0) + 1}
        if offer.max_replicas is not None and grown[offer.key] > offer.max_replicas:
            return False
        return all(
            limit.amount is None or compute_use(limit, grown) <= limit.amount + _ROUNDING
            for limit in self.limits
            if offer.key in limit.coefficients
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many replicas are asked for, and what of the arrivals finds no room for them [1/s]."""

    replicas: int
    uncovered_per_s: float = 0.0


def compute_wanted(
    arrival_rate_per_s: float, replicas: Sequence[FleetReplica], market: Market, min_replicas: int, max_replicas: int
) -> Wanted:
    """Return the replicas that arrivals at `arrival_rate_per_s` [1/s] ask for, within the bounds."""
    counted = [replica for replica in replicas if replica.status.has_capacity]
    capacity_per_s = sum(replica.offer.rate_per_s for replica in counted)
    if arrival_rate_per_s <= 0.0:
        wanted = 0
    elif arrival_rate_per_s < capacity_per_s:
        wanted = _count_kept(arrival_rate_per_s, counted)
    else:
        bought = _buy(arrival_rate_per_s - capacity_per_s, counted, market)
        wanted = len(counted) + len(bought)
        capacity_per_s += sum(offer.rate_per_s for offer in bought)
    within = min(max(wanted, min_replicas), max_replicas)
    uncovered_per_s = max(arrival_rate_per_s * (1.0 - _ROUNDING) - capacity_per_s, 0.0)
    return Wanted(within, uncovered_per_s)


def change_fleet(replicas: Sequence[FleetReplica], total: int, market: Market) -> dict[VariantKey, int]:
    """Return replicas by variant once there are `total`, as far as there is room for them, or minima let them go."""
    living = list_by_removal([replica for replica in replicas if not replica.status.is_terminal])
    kept = living[max(len(living) - total, 0) :]
    minima = {offer.key: offer.min_replicas for offer in market.offers}
    counts = {offer.key: 0 for offer in market.offers} | Counter(replica.offer.key for replica in kept)
    counts = {key: max(count, min(minima.get(key, 0), _count(living, key))) for key, count in counts.items()}
    order = market.list_by_price()
    for _ in range(total - sum(counts.values())):
        offer = market.choose(counts, order)
        if offer is None:
            break
        counts[offer.key] += 1
    return counts


def list_by_removal(replicas: Iterable[FleetReplica]) -> list[FleetReplica]:
    """Return living `replicas`, that which goes first at first; what a minimum protects goes last."""
    ordered = sorted(replicas, key=_rank_removal)
    protected, free = list[FleetReplica](), list[FleetReplica]()
    seen = Counter[VariantKey]()
    for replica in reversed(ordered):
        seen[replica.offer.key] += 1
        (protected if seen[replica.offer.key] <= replica.offer.min_replicas else free).append(replica)
    return [*reversed(free), *reversed(protected)]


def _rank_removal(replica: FleetReplica) -> tuple[int, float, float, int, int]:
    offer = replica.offer
    return STAGES.index(replica.status), -offer.cost_per_rate, offer.rate_per_s, replica.version, -replica.id


def _count_kept(arrival_rate_per_s: float, counted: Sequence[FleetReplica]) -> int:
    """Return how many must stay so that their rates are strictly above the arrivals."""
    total_per_s = 0.0
    for count, replica in enumerate(reversed(list_by_removal(counted)), 1):
        total_per_s += replica.offer.rate_per_s
        if total_per_s > arrival_rate_per_s:
            return count
    return len(counted)


def _buy(missing_per_s: float, counted: Sequence[FleetReplica], market: Market) -> list[Offer]:
    """Return what is bought to carry `missing_per_s` [1/s], as far as there is room."""
    counts, order, bought = Counter(replica.offer.key for replica in counted), market.list_by_price(), list[Offer]()
    while missing_per_s > _ROUNDING:
        offer = market.choose(counts, order)
        if offer is None:
            break
        bought.append(offer)
        counts[offer.key] += 1
        missing_per_s -= offer.rate_per_s
    return bought


def _count(replicas: Iterable[FleetReplica], key: VariantKey) -> int:
    return sum(replica.offer.key == key for replica in replicas)
