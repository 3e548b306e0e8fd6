"""Each rule against what it promises, and against a plain scan."""

from __future__ import annotations

import numpy as np
import pytest

from optimizer.errors import InvalidInput
from optimizer.routing import InstanceAwareLeastLoad, LeastLoad, RoundRobin, RoutingRule

RULES = (RoundRobin, LeastLoad, InstanceAwareLeastLoad)


def play(
    rule: RoutingRule, rates_per_s: list[float], service_s: list[float], rate_per_s: float, seed: int
) -> np.ndarray:
    """Mean requests in hand per replica, Poisson arrivals, each replica serving all it has in hand at once."""
    generator = np.random.default_rng(seed)
    ends: list[list[float]] = [[] for _ in rates_per_s]
    seen, time_s, arrivals = np.zeros(len(rates_per_s)), 0.0, 4000
    for _ in range(arrivals):
        time_s += generator.exponential(1 / rate_per_s)
        ends = [[end_s for end_s in replica if end_s > time_s] for replica in ends]
        loads = [float(len(replica)) for replica in ends]
        seen += loads
        chosen = rule.choose(loads, rates_per_s)
        ends[chosen].append(time_s + generator.exponential(service_s[chosen]))
    return seen / arrivals


def test_round_robin_takes_each_replica_in_turn_whatever_its_load() -> None:
    rule = RoundRobin()
    assert [rule.choose([9.0, 0.0, 5.0], [1.0] * 3) for _ in range(7)] == [0, 1, 2, 0, 1, 2, 0]


def test_round_robin_goes_on_when_replicas_vanish() -> None:
    rule = RoundRobin()
    assert [rule.choose([0.0] * 4, [1.0] * 4) for _ in range(3)] == [0, 1, 2]
    assert rule.choose([0.0] * 2, [1.0] * 2) == 1
    assert rule.choose([0.0], [1.0]) == 0


@pytest.mark.parametrize("seed", range(20))
def test_least_load_chooses_a_smallest_load(seed: int) -> None:
    generator, rule = np.random.default_rng(seed), LeastLoad()
    for _ in range(50):
        loads = generator.integers(0, 4, 6).astype(float).tolist()
        assert loads[rule.choose(loads, [1.0] * 6)] == min(loads)


@pytest.mark.parametrize("seed", range(20))
def test_instance_aware_chooses_a_smallest_load_over_rate_and_of_equals_the_fastest(seed: int) -> None:
    generator, rule = np.random.default_rng(seed), InstanceAwareLeastLoad()
    for _ in range(50):
        loads = generator.integers(0, 4, 6).astype(float).tolist()
        rates_per_s = generator.choice([0.5, 1.0, 2.0], 6).tolist()
        ratios = [load / rate for load, rate in zip(loads, rates_per_s, strict=True)]
        chosen = rule.choose(loads, rates_per_s)
        assert ratios[chosen] == min(ratios)
        assert rates_per_s[chosen] == max(
            rate for rate, ratio in zip(rates_per_s, ratios, strict=True) if ratio == min(ratios)
        )


@pytest.mark.parametrize("rule", [LeastLoad, InstanceAwareLeastLoad])
def test_equal_idle_replicas_are_used_in_turn(rule: type[LeastLoad] | type[InstanceAwareLeastLoad]) -> None:
    chooser = rule()
    assert [chooser.choose([0.0] * 3, [2.0] * 3) for _ in range(6)] == [0, 1, 2, 0, 1, 2]


def test_of_equal_replicas_the_one_chosen_longest_ago_is_next() -> None:
    chooser = InstanceAwareLeastLoad()
    assert [chooser.choose([0.0, 0.0, 5.0], [1.0] * 3) for _ in range(2)] == [0, 1]
    assert chooser.choose([0.0, 5.0, 5.0], [1.0] * 3) == 0
    assert chooser.choose([0.0] * 3, [1.0] * 3) == 2  # never chosen
    assert chooser.choose([0.0] * 3, [1.0] * 3) == 1  # then the one of two rounds ago, not the next in turn
    assert chooser.choose([0.0] * 4, [1.0] * 4) == 3


def test_without_completions_the_shares_follow_the_rates() -> None:
    chooser, loads = InstanceAwareLeastLoad(), [0.0, 0.0]
    for _ in range(12):
        loads[chooser.choose(loads, [10.0, 20.0])] += 1.0
    assert loads == [4.0, 8.0]


def test_least_load_levels_the_requests_in_hand_of_unlike_replicas() -> None:
    in_hand = play(LeastLoad(), [3.0, 1.0], [1.0, 3.0], rate_per_s=20.0, seed=1)
    assert in_hand[0] == pytest.approx(in_hand[1], rel=0.15)


def test_instance_aware_levels_the_requests_in_hand_over_the_target_rates() -> None:
    in_hand = play(InstanceAwareLeastLoad(), [3.0, 1.0], [1.0, 1.0], rate_per_s=40.0, seed=2)
    assert in_hand[0] / in_hand[1] == pytest.approx(3.0, rel=0.1)


@pytest.mark.parametrize("rule", RULES)
def test_the_same_loads_give_the_same_choices(rule: type[RoundRobin]) -> None:
    generator = np.random.default_rng(3)
    loads = generator.integers(0, 3, (100, 5)).astype(float).tolist()
    first, second = rule(), rule()
    assert [first.choose(row, [1.0] * 5) for row in loads] == [second.choose(row, [1.0] * 5) for row in loads]


@pytest.mark.parametrize("rule", RULES)
def test_no_replicas_or_unequal_lists_are_a_wrong_call(rule: type[RoundRobin]) -> None:
    with pytest.raises(InvalidInput, match="at least one replica"):
        rule().choose([], [])
    with pytest.raises(InvalidInput, match="of length 2"):
        rule().choose([1.0, 2.0], [1.0])


def test_a_rate_that_is_not_positive_is_a_wrong_call() -> None:
    with pytest.raises(InvalidInput, match="> 0"):
        InstanceAwareLeastLoad().choose([1.0, 2.0], [1.0, 0.0])
