"""Limits below what is there: replicas that find no place, a quota cut, a bound that keeps what nobody needs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from optimizer import State, decide
from optimizer.domain import (
    ConditionType,
    FleetSnapshot,
    Limit,
    LimitKind,
    ModelSnapshot,
    ReasonCode,
    Settings,
    SolveStatus,
)
from tests.builders.snapshots import make_key, make_model_snapshot, make_state, make_window
from tests.builders.story import Story, get_capacity_per_s, make_model, make_settings, make_variant

CHEAP = make_variant("cheap", cost_per_hour=1.0)
DEAR = make_variant("dear", cost_per_hour=2.0)
CAPACITY_PER_S = get_capacity_per_s(CHEAP)


def bound(amount: float | None, *names: str) -> tuple[Limit, ...]:
    """Return what a scheduler says of replicas that find a place."""
    keys = names or ("cheap",)
    return (Limit(f"scheduler {keys[0]}", LimitKind.ACCELERATORS, {make_key(key): 1.0 for key in keys}, amount),)


class Crowded(Story):
    """Only `places` replicas of the cheap variant find a place; the others wait, and never serve."""

    places = 3

    def _sync(self) -> None:
        super()._sync()
        pool = self.pools[make_key("cheap")]
        for index, replica in enumerate(sorted(pool.replicas, key=lambda replica: replica.created_s)):
            if index >= self.places:
                replica.ready_s = math.inf
            elif replica.ready_s == math.inf:
                replica.ready_s = self.now_s + 10.0


def crowd(load: Callable[[float], float] = lambda t: 3.6 * CAPACITY_PER_S, *, start: int = 3) -> Crowded:
    story = Crowded(make_settings(make_model(CHEAP, DEAR)), load, {"cheap": start})
    story.run(300.0)
    return story


def set_limits(story: Story, limits: tuple[Limit, ...]) -> None:
    story.settings = replace(story.settings, limits=limits)


def count_ready(story: Story) -> float:
    return story.passes[-1].ready_per_s


def test_what_finds_no_place_is_planned_around_with_the_others() -> None:
    story = crowd()
    assert story.passes[-1].planned["cheap"] > 3
    assert count_ready(story) < 3.6 * CAPACITY_PER_S
    set_limits(story, bound(3.0))
    story.run(900.0)
    assert story.passes[-1].planned == {"cheap": 3, "dear": 2}
    assert story.get_attainment_ratio(600.0) == 1.0


def test_ready_capacity_never_dips_on_the_way_around_and_back() -> None:
    story = crowd()
    ready_per_s = []
    for until_s, limits, places in ((900.0, bound(3.0), 3), (2100.0, (), 9), (3000.0, bound(4.0), 4)):
        set_limits(story, limits)
        story.places = places
        while story.now_s < until_s:
            story.run(story.now_s + 15.0)
            ready_per_s.append(count_ready(story))
    need_per_s = 3.6 * CAPACITY_PER_S
    first = next(index for index, ready in enumerate(ready_per_s) if ready >= need_per_s)
    assert first < 5
    assert min(ready_per_s[:first], default=need_per_s) >= 3.0 * CAPACITY_PER_S * (1.0 - 1e-9)
    assert min(ready_per_s[first:]) >= need_per_s


def test_when_the_limit_goes_away_the_cheap_ones_come_back() -> None:
    story = crowd()
    set_limits(story, bound(3.0))
    story.run(900.0)
    set_limits(story, ())
    story.places = 9
    story.run(2400.0)
    assert story.passes[-1].planned["dear"] == 0
    assert story.passes[-1].planned["cheap"] >= 4


def test_in_the_first_calm_window_too_what_finds_no_place_is_planned_around() -> None:
    """Nothing may shrink yet, but replicas without a place do not serve: others start at once."""
    pods = tuple("abc")
    snapshot = make_model_snapshot(
        (make_state("cheap", pods, requested=6), make_state("dear", ())),
        tuple(make_window(pod, 15.0 * 1.2 * CAPACITY_PER_S) for pod in pods),
    )
    settings = make_settings(make_model(CHEAP, DEAR), limits=bound(3.0))
    (decision,) = decide(State(), FleetSnapshot(15.0, (snapshot,)), 15.0, settings).decisions
    planned = {entry.key.variant: entry.planned_replicas for entry in decision.variants}
    assert planned["cheap"] == 3
    assert planned["dear"] > 0
    assert decision.plan is not None
    assert decision.plan.status is SolveStatus.OPTIMAL


def test_with_no_other_variant_the_plan_takes_what_there_is_and_says_short() -> None:
    story = Crowded(make_settings(make_model(CHEAP)), lambda t: 3.6 * CAPACITY_PER_S, {"cheap": 3})
    story.run(300.0)
    set_limits(story, bound(3.0))
    story.run(600.0)
    decision = story.passes[-1].decision
    assert decision is not None
    assert (story.passes[-1].planned, decision.reason.code) == ({"cheap": 3}, ReasonCode.SHORTAGE)
    assert "scheduler cheap" in decision.reason.message


def test_a_lower_bound_above_what_finds_a_place_wins_and_is_no_contradiction() -> None:
    story = Crowded(make_settings(make_model(replace(CHEAP, min_replicas=5), DEAR)), lambda t: 1.0, {"cheap": 5})
    story.run(120.0)
    set_limits(story, bound(3.0))
    story.run(300.0)
    decision = story.passes[-1].decision
    assert decision is not None
    assert decision.plan is not None
    assert (story.passes[-1].planned["cheap"], decision.plan.status) == (5, SolveStatus.OPTIMAL)
    within = next(entry for entry in decision.conditions if entry.type is ConditionType.WITHIN_LIMITS)
    assert (within.status, within.reason.message) == (
        False,
        "what is published exceeds limits: 5 of 3 in scheduler cheap",
    )


def test_a_held_llm_beyond_a_shared_limit_stops_no_other() -> None:
    other = make_model(make_variant("solo", model_id="other"))
    solo = other.variants[0].key()
    limit = Limit("gpus", LimitKind.ACCELERATORS, {make_key("cheap"): 1.0, solo: 1.0}, 6.0)
    states = (
        make_model_snapshot((make_state("cheap", tuple("abcdefgh")),), ()),
        ModelSnapshot(other.key, (replace(make_state("solo", ("s",)), key=solo),), (make_window("s", 900.0),)),
    )
    settings = make_settings(make_model(CHEAP), other, limits=(limit,))
    held, free = decide(State(), FleetSnapshot(15.0, states), 15.0, settings).decisions
    assert held.variants[0].planned_replicas == 8
    assert free.variants[0].planned_replicas == 1  # there is no room, but it is decided about
    assert free.plan is not None
    assert free.plan.status is SolveStatus.SHORTAGE


@pytest.mark.parametrize("amount", [0.0, 2.0, 2.9])
def test_parts_of_a_replica_find_no_place(amount: float) -> None:
    story = crowd()
    story.places = int(amount)
    set_limits(story, bound(amount))
    story.run(900.0)
    assert story.passes[-1].planned["cheap"] == int(amount)


def test_where_nothing_finds_a_place_and_so_nothing_is_seen_another_variant_starts_one() -> None:
    snapshot = make_model_snapshot((make_state("cheap", (), requested=4), make_state("dear", ())))
    for limits, expected in ((bound(0.0), {"cheap": 0, "dear": 1}), ((), {"cheap": 4, "dear": 0})):
        settings = make_settings(make_model(CHEAP, DEAR), limits=limits)
        (decision,) = decide(State(), FleetSnapshot(15.0, (snapshot,)), 15.0, settings).decisions
        assert {entry.key.variant: entry.planned_replicas for entry in decision.variants} == expected


def test_what_serves_unseen_is_held_beyond_a_limit_of_its_own() -> None:
    snapshot = make_model_snapshot((make_state("cheap", tuple("abcd")), make_state("dear", ())))
    settings = make_settings(make_model(CHEAP, DEAR), limits=bound(2.0))
    (decision,) = decide(State(), FleetSnapshot(15.0, (snapshot,)), 15.0, settings).decisions
    assert {entry.key.variant: entry.planned_replicas for entry in decision.variants} == {"cheap": 4, "dear": 0}


# --- What a lower bound costs -----------------------------------------------------------------------------------------
def idle(settings: Settings, start: dict[str, int]) -> Story:
    story = Story(settings, lambda t: 0.0, start)
    story.run(900.0)
    return story


def test_a_lower_bound_that_keeps_an_idle_replica_tells_what_it_costs() -> None:
    bounded = replace(CHEAP, min_replicas=1)
    story = idle(make_settings(make_model(bounded, gateway=True, idle_to_zero_s=60.0)), {"cheap": 2})
    decision = story.passes[-1].decision
    assert decision is not None
    assert str(decision.variants[0].reason) == (
        "BoundBinds: 1 replicas: the lower bound of 1 keeps 1 that nothing needs, at 1 per hour"
    )


def test_a_replica_that_stays_for_another_reason_is_not_blamed_on_the_bound() -> None:
    without_gateway = idle(make_settings(make_model(replace(CHEAP, min_replicas=1))), {"cheap": 2})
    assert without_gateway.passes[-1].decision is not None
    assert without_gateway.passes[-1].decision.variants[0].reason.code is ReasonCode.STEADY
    busy = Story(
        make_settings(make_model(replace(CHEAP, min_replicas=2))), lambda t: 1.5 * CAPACITY_PER_S, {"cheap": 2}
    )
    busy.run(600.0)
    assert busy.passes[-1].decision is not None
    assert busy.passes[-1].decision.variants[0].reason.code is ReasonCode.STEADY


def test_of_several_variants_the_bound_of_the_idle_one_is_told() -> None:
    kept = replace(DEAR, min_replicas=2)
    story = Story(make_settings(make_model(CHEAP, kept)), lambda t: 0.5 * CAPACITY_PER_S, {"cheap": 1, "dear": 2})
    story.run(900.0)
    last = story.passes[-1]
    assert last.planned == {"cheap": 0, "dear": 2}
    assert last.decision is not None
    assert str(last.decision.variants[1].reason) == (
        "BoundBinds: 2 replicas: the lower bound of 2 keeps 1 that nothing needs, at 2 per hour"
    )


# --- What an upper bound sends elsewhere ------------------------------------------------------------------------------
def find_reasons(settings: Settings, replicas: float, start: dict[str, int]) -> dict[str, str]:
    """Return why each variant has what it has, at a demand of so many replicas' worth that has lasted."""
    story = Story(settings, lambda t: replicas * CAPACITY_PER_S, start)
    story.run(900.0)
    decision = story.passes[-1].decision
    assert decision is not None
    return {entry.key.variant: str(entry.reason) for entry in decision.variants}


def test_an_upper_bound_that_sends_load_to_a_dearer_variant_tells_so() -> None:
    bounded = make_settings(make_model(replace(CHEAP, max_replicas=2), DEAR))
    reasons = find_reasons(bounded, 3.5, {"cheap": 2, "dear": 3})
    assert reasons["cheap"] == (
        "BoundBinds: 2 replicas, all that the upper bound of 2 allows; dear, which costs more, runs beside it"
    )
    assert reasons["dear"].startswith("Steady")


def test_an_upper_bound_that_leaves_a_need_unmet_tells_so() -> None:
    reasons = find_reasons(make_settings(make_model(replace(CHEAP, max_replicas=2))), 3.5, {"cheap": 2})
    assert reasons["cheap"] == "BoundBinds: 2 replicas, all that the upper bound of 2 allows: the need is not met"


def test_an_upper_bound_that_is_just_reached_is_no_news() -> None:
    settings = make_settings(make_model(replace(CHEAP, max_replicas=2), replace(DEAR, min_replicas=1)))
    reasons = find_reasons(settings, 2.4, {"cheap": 2, "dear": 1})
    assert reasons["cheap"].startswith("Steady")
