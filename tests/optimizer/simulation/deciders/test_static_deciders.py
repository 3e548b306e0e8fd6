from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import pytest

from optimizer.domain import Limit, LimitKind, ModelKey, Role, Routing, ServedModel, Workload
from optimizer.errors import InvalidInput
from optimizer.simulation.decider import Decider
from optimizer.simulation.deciders.sizing import at_rate, compute_capacities_per_s, compute_in_flight_requests
from optimizer.simulation.deciders.static import StaticDecider, make_best_homogeneous, make_static, make_static_peak
from tests.builders.scraper_views import make_scraper_view
from tests.builders.snapshots import make_workload
from tests.builders.story import get_capacity_per_s, make_model, make_settings, make_variant

SMALL, BIG = make_variant("small"), make_variant("big", speed=3.0, cost_per_hour=2.8)
MODEL = make_model(SMALL, BIG)
SETTINGS = make_settings(MODEL)
CEILING = SETTINGS.decision.utilization_ceiling_ratio


def peak(rate_per_s: float) -> dict[ModelKey, Workload]:
    return {MODEL.key: make_workload(rate_per_s)}


def count(decider: StaticDecider) -> dict[str, int]:
    answer = decider.step(make_scraper_view(0.0, []))
    return {key.variant: replicas for key, replicas in answer.items()}


def price(counts: dict[str, int]) -> float:
    costs = {"small": 1.0, "big": 2.8}
    return sum(costs[name] * replicas for name, replicas in counts.items())


def carry_per_s(counts: dict[str, int]) -> float:
    capacities = {"small": get_capacity_per_s(SMALL), "big": get_capacity_per_s(BIG)}
    return CEILING * sum(capacities[name] * replicas for name, replicas in counts.items())


def test_a_static_fleet_is_asked_once_and_says_what_it_was_told() -> None:
    decider: Decider = make_static({SMALL.key(): 3})
    assert decider.period_s == math.inf
    assert decider.signals == {}
    assert decider.step(make_scraper_view(0.0, [])) == {SMALL.key(): 3}


@pytest.mark.parametrize("rate_per_s", [0.5, 2.0, 7.3, 19.0, 60.0])
def test_the_peak_is_carried_by_the_cheapest_mix(rate_per_s: float) -> None:
    mix = count(make_static_peak(SETTINGS, peak(rate_per_s)))
    assert carry_per_s(mix) >= rate_per_s * (1.0 - 1e-6)
    every = [{"small": small, "big": big} for small in range(40) for big in range(14)]
    assert price(mix) == pytest.approx(min(price(one) for one in every if carry_per_s(one) >= rate_per_s))


@pytest.mark.parametrize("rate_per_s", [0.5, 7.3, 60.0])
def test_the_best_homogeneous_fleet_is_the_cheaper_of_each_alone(rate_per_s: float) -> None:
    alone = [{name: math.ceil(rate_per_s / carry_per_s({name: 1}))} for name in ("small", "big")]
    best = count(make_best_homogeneous(SETTINGS, peak(rate_per_s)))
    assert {name: replicas for name, replicas in best.items() if replicas} == min(alone, key=price)
    assert price(best) >= price(count(make_static_peak(SETTINGS, peak(rate_per_s))))


def test_a_variant_that_may_not_be_large_enough_is_passed_over() -> None:
    model = make_model(replace(SMALL, max_replicas=2), BIG)
    best = count(make_best_homogeneous(make_settings(model), peak(30.0)))
    assert best["small"] == 0
    assert best["big"] > 0


def test_limits_hold_and_a_peak_that_no_variant_carries_alone_is_refused() -> None:
    limit = Limit("stock", LimitKind.ACCELERATORS, {BIG.key(): 1.0, SMALL.key(): 1.0}, 2.0)
    settings = make_settings(MODEL, limits=(limit,))
    assert sum(count(make_static_peak(settings, peak(60.0))).values()) == 2
    with pytest.raises(InvalidInput, match="one variant alone can carry"):
        make_best_homogeneous(settings, peak(60.0))


def test_capacities_are_those_that_our_policy_plans_with() -> None:
    capacities = compute_capacities_per_s(MODEL, make_workload())
    assert capacities == {variant.key(): pytest.approx(get_capacity_per_s(variant)) for variant in (SMALL, BIG)}


def test_requests_in_flight_at_capacity_are_at_least_those_of_the_promised_pace() -> None:
    workload = make_workload()
    in_flight = compute_in_flight_requests(MODEL, workload)
    for variant in (SMALL, BIG):
        rate_per_s = get_capacity_per_s(variant)
        longest_s = 2.0 + 0.05 * workload.output_lengths.mean_tokens
        assert 0.0 < in_flight[variant.key()] <= rate_per_s * longest_s
    assert compute_in_flight_requests(make_model(replace(SMALL, performance=None)), workload) == {}


def test_a_workload_can_be_put_at_another_rate() -> None:
    assert at_rate(make_workload(1.0), 5.0) == make_workload(5.0)


# --- Prefill and decode apart -----------------------------------------------------------------------------------------
FAST, SLOW = (
    replace(make_variant(f"prefill-{name}", speed=speed, cost_per_hour=price), roles=(Role.PREFILL,))
    for name, speed, price in (("fast", 3.0, 2.5), ("slow", 1.0, 1.0))
)
DECODE = replace(make_variant("decode", cost_per_hour=1.5), roles=(Role.DECODE,))


def list_pairs(model: ServedModel, rate_per_s: float) -> list[dict[str, int]]:
    """Return every fleet up to 24 replicas of each variant of which both roles carry `rate_per_s`."""
    capacities = {key.variant: one for key, one in compute_capacities_per_s(model, make_workload()).items()}
    names = [variant.name for variant in model.variants]
    fleets = (dict(zip(names, counts, strict=True)) for counts in product(range(25), repeat=len(names)))
    return [
        one
        for one in fleets
        if all(
            CEILING * sum(capacities[name] * count for name, count in one.items() if name.startswith(role))
            >= rate_per_s * (1.0 - 1e-9)
            for role in ("prefill", "decode")
        )
    ]


def price_all(model: ServedModel, counts: dict[str, int]) -> float:
    return sum((variant.cost_per_hour or 0.0) * counts.get(variant.name, 0) for variant in model.variants)


@pytest.mark.parametrize("rate_per_s", [0.5, 7.3, 40.0])
def test_both_roles_carry_the_peak_at_the_least_cost(rate_per_s: float) -> None:
    model = replace(make_model(FAST, SLOW, DECODE), routing=Routing.WEIGHTED)
    mix = count(make_static_peak(make_settings(model), peak(rate_per_s)))
    possible = list_pairs(model, rate_per_s)
    assert mix in possible
    assert price_all(model, mix) == pytest.approx(min(price_all(model, one) for one in possible))
    alike = [one for one in possible if 0 in (one["prefill-fast"], one["prefill-slow"])]
    best = count(make_best_homogeneous(make_settings(model), peak(rate_per_s)))
    assert price_all(model, best) == pytest.approx(min(price_all(model, one) for one in alike))


@pytest.mark.parametrize("cost_per_hour", [0.01, 100.0])
def test_an_llm_that_can_do_both_is_served_in_the_cheaper_way(cost_per_hour: float) -> None:
    whole = replace(SMALL, cost_per_hour=cost_per_hour)
    model = make_model(whole, FAST, DECODE)
    mix = count(make_static_peak(make_settings(model), peak(7.3)))
    used = {name for name, replicas in mix.items() if replicas}
    assert used == ({"small"} if cost_per_hour < 1.0 else {"prefill-fast", "decode"})
    assert set(mix) == {"small", "prefill-fast", "decode"}


def test_bounds_of_an_llm_hold_over_both_of_its_roles() -> None:
    model = replace(make_model(SLOW, DECODE), max_replicas=5)
    assert sum(count(make_static_peak(make_settings(model), peak(500.0))).values()) == 5
    least = replace(make_model(SLOW, DECODE), min_replicas=1)
    assert count(make_static_peak(make_settings(least), {})) == {"prefill-slow": 1, "decode": 1}
    with pytest.raises(InvalidInput, match="one variant alone can carry"):
        make_best_homogeneous(make_settings(model), peak(500.0))


def test_a_role_carries_more_of_its_part_than_a_replica_of_whole_requests() -> None:
    whole = get_capacity_per_s(SMALL)
    capacities = compute_capacities_per_s(make_model(SLOW, DECODE), make_workload())
    assert all(one > whole for one in capacities.values())
    assert SLOW.performance is not None
    assert SLOW.performance.law is not None
    prefill_s = make_workload().input_lengths.mean_tokens * SLOW.performance.law.per_prompt_token_s
    assert capacities[SLOW.key(Role.PREFILL)] < 1.0 / prefill_s  # no more prompts than there is time for
