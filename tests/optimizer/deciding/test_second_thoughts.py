from __future__ import annotations

from dataclasses import replace

from optimizer.domain import ReasonCode
from tests.builders.story import Story, get_capacity_per_s, make_model, make_settings, make_variant

SMALL = make_variant("small", cost_per_hour=1.0)
CAPACITY_PER_S = get_capacity_per_s(SMALL)


def play(other_cost_per_hour: float, until_s: float, calm_window_s: float = 60.0) -> Story:
    """Play steady demand on three small replicas, beside a twin of another price that appears after five minutes."""
    twin = make_variant("twin", cost_per_hour=3.0)
    story = Story(
        make_settings(make_model(SMALL, twin), calm_window_s=calm_window_s),
        lambda t: 2.5 * CAPACITY_PER_S,
        {"small": 3},
    )
    story.run(300.0)
    cheaper = replace(twin, cost_per_hour=other_cost_per_hour)
    story.settings = make_settings(make_model(SMALL, cheaper), calm_window_s=calm_window_s)
    story.run(until_s)
    return story


def test_a_mix_that_saves_too_little_is_not_switched_to() -> None:
    story = play(0.99, 900.0)
    assert story.passes[-1].planned == {"small": 3, "twin": 0}
    assert story.count_changes(300.0) == []


def test_a_mix_that_saves_enough_is_switched_to_after_half_a_calm_window_without_a_dip() -> None:
    story = play(0.5, 900.0, calm_window_s=120.0)
    changes_s = story.count_changes(300.0)
    assert changes_s[0] == 300.0 + 15.0 + 60.0
    assert story.passes[-1].planned == {"small": 0, "twin": 3}
    assert story.get_attainment_ratio() == 1.0


def test_while_a_switch_waits_the_reason_says_so() -> None:
    story = play(0.5, 345.0, calm_window_s=120.0)
    decision = story.passes[-1].decision
    assert decision is not None
    assert decision.reason.code is ReasonCode.CALM_WINDOW
    assert "another mix would save" in decision.reason.message


def test_a_switch_never_takes_the_total_above_its_bound() -> None:
    """One surge replica fits under the bound: the old ones leave one by one, as the new ones serve."""
    twin = make_variant("twin", cost_per_hour=0.4)
    model = replace(make_model(SMALL, twin), max_replicas=4)
    story = Story(make_settings(model), lambda t: 2.5 * CAPACITY_PER_S, {"small": 3})
    story.run(900.0)
    assert all(sum(entry.planned.values()) <= 4 for entry in story.passes)
    assert story.passes[-1].planned == {"small": 0, "twin": 3}
    assert story.get_attainment_ratio() == 1.0


def test_a_switch_without_room_and_without_surplus_is_held_with_that_reason() -> None:
    twin = make_variant("twin", cost_per_hour=0.4)
    model = replace(make_model(SMALL, twin), max_replicas=3)
    story = Story(make_settings(model), lambda t: 2.5 * CAPACITY_PER_S, {"small": 3})
    story.run(600.0)
    assert all(entry.planned == {"small": 3, "twin": 0} for entry in story.passes)
    assert story.passes[-1].decision is not None
    assert story.passes[-1].decision.reason.code is ReasonCode.SURGE_BLOCKED
