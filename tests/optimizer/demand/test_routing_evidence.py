from __future__ import annotations

import pytest

from optimizer.demand import LoadShares, PodLoad, find_routing
from optimizer.domain import Routing

CAPACITIES = {"fast": 3.0, "slow": 1.0}


def load(fast_arrivals: float, slow_arrivals: float) -> LoadShares:
    """Return the loads of two fast and two slow pods over 90 s."""
    pods = {f"fast-{index}/": PodLoad("fast", fast_arrivals / 2, 90.0) for index in range(2)}
    pods |= {f"slow-{index}/": PodLoad("slow", slow_arrivals / 2, 90.0) for index in range(2)}
    return LoadShares(pods, 90.0)


def test_equal_loads_show_uniform_routing() -> None:
    assert find_routing(load(100.0, 105.0), CAPACITIES) is Routing.UNIFORM


def test_loads_in_proportion_to_capacity_show_weighted_routing() -> None:
    assert find_routing(load(150.0, 52.0), CAPACITIES) is Routing.WEIGHTED


@pytest.mark.parametrize("shares", [load(20.0, 10.0), load(127.0, 73.0), LoadShares()])
def test_few_arrivals_and_loads_between_the_two_tell_nothing(shares: LoadShares) -> None:
    assert find_routing(shares, CAPACITIES) is None


def test_one_variant_tells_nothing() -> None:
    alone = LoadShares({"fast-0/": PodLoad("fast", 500.0, 90.0), "fast-1/": PodLoad("fast", 400.0, 90.0)}, 90.0)
    assert find_routing(alone, CAPACITIES) is None


def test_variants_of_equal_capacity_tell_nothing() -> None:
    assert find_routing(load(150.0, 150.0), {"fast": 2.0, "slow": 2.0}) is None


def test_pods_of_unknown_capacity_are_left_out() -> None:
    assert find_routing(load(150.0, 50.0), {"fast": 3.0}) is None
