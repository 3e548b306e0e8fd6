"""Which variants are worth starting: a mix must pay over the needs around the present one, not for one need alone.

For a single need the cheapest plan often takes an odd variant to save a fraction of a replica. When the need moves on,
so does the odd variant, and every such change costs a start and the time both run side by side. So each set of variants
is judged by its mean cost over needs from `LOW_RATIO` to `HIGH_RATIO` of the present one,

    C(S) = mean over needs n of the least sum of p_v y_v, v in S, with sum of mu_v y_v >= n

and the smallest set is preferred whose C(S) is within `mix_saving_ratio` of that of all variants. It knows no bound, no
limit and no replica that exists: what it prefers is a leaning, not a rule.

Source: unbounded covering knapsack by dynamic programming over the need; derived here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from optimizer.domain import VariantKey

LOW_RATIO, HIGH_RATIO = 0.6, 1.4
"""The needs around the present one: demand wanders that far while a composition lasts."""
_CELLS = 168  # up to the highest need
_NEED_CELLS = 120  # the present need
_LARGEST_PAIRING = 6


class Offer(NamedTuple):
    """One replica of a variant: what it carries [1/s], what it costs [currency/h]."""

    capacity_per_s: float
    cost_per_hour: float


def find_preferred(
    offers: Mapping[VariantKey, Offer], need_per_s: float, mix_saving_ratio: float
) -> frozenset[VariantKey]:
    """Return the variants worth starting for needs around `need_per_s` [1/s].

    Parameters
    ----------
    offers
        V variants; those without capacity are never preferred.
    need_per_s
        Present need, in the unit of the capacities.
    mix_saving_ratio
        Share of the cost that a larger set must save over a smaller one [0-1].

    Returns
    -------
    frozenset
        All variants with capacity where there is no need to judge by.
    """
    usable = {key: offer for key, offer in offers.items() if offer.capacity_per_s > 0.0}
    everything = frozenset(usable)
    if len(usable) < 2 or need_per_s <= 0.0:
        return everything
    cell_per_s = need_per_s / _NEED_CELLS
    least = _compute_mean_cost(tuple(usable.values()), cell_per_s)
    for size in range(1, min(len(usable), 3)):
        costs = {
            frozenset(chosen): _compute_mean_cost([usable[key] for key in chosen], cell_per_s)
            for chosen in combinations(sorted(usable), size)
        }
        best = min(costs, key=lambda chosen: (costs[chosen], sorted(chosen)))
        if least >= (1.0 - mix_saving_ratio) * costs[best]:
            return best
        if len(usable) > _LARGEST_PAIRING:
            break
    return everything


def _compute_mean_cost(offers: Sequence[Offer], cell_per_s: float) -> float:
    """Return the mean least cost of covering the needs of the grid with `offers` [currency/h]."""
    reach = [max(math.floor(offer.capacity_per_s / cell_per_s + 1e-9), 1) for offer in offers]
    costs = [0.0]
    for cell in range(1, _CELLS + 1):
        costs.append(
            min(costs[max(cell - cells, 0)] + offer.cost_per_hour for cells, offer in zip(reach, offers, strict=True))
        )
    first = round(LOW_RATIO * _NEED_CELLS)
    return sum(costs[first:]) / (_CELLS - first + 1)
