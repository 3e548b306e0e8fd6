"""Which variants are worth mixing: against brute force over counts, and at the plain ends."""

from __future__ import annotations

import itertools
import random
from statistics import fmean

import pytest

from optimizer.domain import VariantKey
from optimizer.stabilization import Offer, find_preferred


def make_offers(**offers: tuple[float, float]) -> dict[VariantKey, Offer]:
    return {VariantKey("prod", "llm", name): Offer(*offer) for name, offer in offers.items()}


def find(need_per_s: float, **offers: tuple[float, float]) -> set[str]:
    return {key.variant for key in find_preferred(make_offers(**offers), need_per_s, 0.08)}


def find_mean_cost(offers: list[Offer], need_per_s: float) -> float:
    """Mean least cost over the same needs, by trying every count."""
    costs = []
    for step in range(72, 169):
        rate_per_s = need_per_s * step / 120
        counts = itertools.product(*(range(int(rate_per_s / offer.capacity_per_s) + 2) for offer in offers))
        costs.append(
            min(
                sum(offer.cost_per_hour * count for offer, count in zip(offers, chosen, strict=True))
                for chosen in counts
                if sum(offer.capacity_per_s * count for offer, count in zip(offers, chosen, strict=True))
                >= rate_per_s - 1e-9
            )
        )
    return fmean(costs)


def test_a_filler_beside_a_large_replica_is_worth_it() -> None:
    assert find(3.6, large=(3.2, 5.4), small=(0.6, 1.8)) == {"large", "small"}


def test_a_variant_of_nearly_the_same_price_is_not() -> None:
    assert find(3.6, one=(0.8, 5.6), other=(0.4, 3.6)) == {"one"}


def test_the_better_of_two_of_a_kind_stands_alone() -> None:
    assert find(10.0, cheap=(1.0, 1.0), dear=(1.0, 1.2)) == {"cheap"}


@pytest.mark.parametrize("need_per_s, offers", [(0.0, {"a": (1.0, 1.0), "b": (2.0, 9.0)}), (5.0, {"a": (1.0, 1.0)})])
def test_without_a_choice_or_a_need_nothing_is_left_out(
    need_per_s: float, offers: dict[str, tuple[float, float]]
) -> None:
    assert find(need_per_s, **offers) == set(offers)


def test_a_variant_without_capacity_is_never_preferred() -> None:
    assert find(5.0, able=(1.0, 1.0), unable=(0.0, 0.1)) == {"able"}


def test_agrees_with_brute_force_on_the_capacities_of_the_grid() -> None:
    rng = random.Random(3)
    mixed = 0
    for _ in range(40):
        offers = {f"v{index}": (rng.randint(15, 150) / 120, rng.choice([0.8, 1.4, 2.0, 3.6])) for index in range(2)}
        every = find_mean_cost([Offer(*offer) for offer in offers.values()], 1.0)
        alone = {name: find_mean_cost([Offer(*offer)], 1.0) for name, offer in offers.items()}
        best = min(alone, key=lambda name: (alone[name], name))
        saving_ratio = 1.0 - every / alone[best]
        if abs(saving_ratio - 0.08) < 1e-3:
            continue
        expected = set(offers) if saving_ratio > 0.08 else {best}
        mixed += len(expected) > 1
        assert find(1.0, **offers) == expected
    assert 5 < mixed < 35


def test_nothing_changes_when_everything_is_scaled() -> None:
    rng = random.Random(4)
    for _ in range(30):
        offers = {f"v{index}": (rng.uniform(0.2, 3.0), rng.uniform(0.5, 6.0)) for index in range(3)}
        scaled = {name: (4.0 * capacity, 2.0 * cost) for name, (capacity, cost) in offers.items()}
        assert find(3.0, **offers) == find(12.0, **scaled)
