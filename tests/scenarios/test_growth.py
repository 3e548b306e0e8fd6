"""Steps, ramps and spikes: growth is asked for at once and whole, and noise is not followed."""

from __future__ import annotations

import pytest

from tests.builders.story import Story, get_capacity_per_s, make_model, make_settings, make_variant

VARIANT = make_variant("a")
CAPACITY_PER_S = get_capacity_per_s(VARIANT)
SETTINGS = make_settings(make_model(VARIANT))
STARTUP_SCRAPE_SYNC_S = VARIANT.startup_s + 15.0 + 15.0


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
@pytest.mark.parametrize("replicas", [2, 5, 12])
def test_a_doubled_rate_is_asked_for_whole_by_the_first_decision_that_can_know(replicas: int, seed: int | None) -> None:
    before_per_s = 0.8 * replicas * CAPACITY_PER_S
    story = Story(SETTINGS, lambda t: before_per_s if t < 450.0 else 2.0 * before_per_s, {"a": replicas}, seed=seed)
    story.run(900.0)
    first = next(entry for entry in story.passes if entry.now_s == 465.0)
    assert first.decision is not None
    assert first.decision.need_per_s is not None
    truth_per_s = 2.0 * before_per_s if seed is None else first.rate_per_s
    assert 1.0 <= first.decision.need_per_s / truth_per_s <= 1.15
    assert sum(first.planned.values()) * CAPACITY_PER_S >= first.decision.need_per_s
    assert story.get_attainment_ratio(450.0 + STARTUP_SCRAPE_SYNC_S, 900.0) >= 0.99


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_a_ramp_to_five_times_the_rate_and_back_is_served(seed: int | None) -> None:
    def ramp(time_s: float) -> float:
        up, down = min(max((time_s - 120.0) / 600.0, 0.0), 1.0), min(max((time_s - 900.0) / 600.0, 0.0), 1.0)
        return CAPACITY_PER_S * (1.0 + 4.0 * (up - down))

    story = Story(SETTINGS, ramp, {"a": 2}, seed=seed)
    story.run(1800.0)
    assert story.get_attainment_ratio() >= 0.99
    assert max(sum(entry.planned.values()) for entry in story.passes) <= 8
    assert sum(story.passes[-1].planned.values()) <= 2


@pytest.mark.parametrize("startup_s", [10.0, 30.0, 60.0, 120.0])
@pytest.mark.parametrize("width_ratio", [0.25, 0.5])
@pytest.mark.parametrize("seed", [None, 1])
def test_spikes_as_far_apart_as_a_start_takes_change_the_number_at_most_twice_a_period(
    startup_s: float, width_ratio: float, seed: int | None
) -> None:
    def spikes(time_s: float) -> float:
        is_high = time_s > 60.0 and time_s % startup_s < width_ratio * startup_s
        return (6.0 if is_high else 2.0) * CAPACITY_PER_S

    settings = make_settings(make_model(make_variant("a", startup_s=startup_s)))
    story = Story(settings, spikes, {"a": 3}, seed=seed)
    story.run(1200.0)
    changes_s = story.count_changes()
    assert len(changes_s) <= 2.0 * 1200.0 / startup_s
    if seed is None or startup_s <= 30.0:  # longer periods hold more noise of Poisson arrivals than of spikes
        for change_s in changes_s:
            assert sum(change_s <= other_s < change_s + startup_s for other_s in changes_s) <= 2


def test_steady_noise_is_not_followed() -> None:
    story = Story(SETTINGS, lambda t: 4.0 * CAPACITY_PER_S, {"a": 5}, seed=4)
    story.run(3600.0)
    assert story.get_attainment_ratio() >= 0.999
    assert len(story.count_changes()) <= 24
    assert story.cost <= 6.0  # one hour of what carries it costs 5 at least
