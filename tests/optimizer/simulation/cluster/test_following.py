"""Published numbers are followed by autoscalers as the law of the HPA has it, at its syncs and no sooner."""

from __future__ import annotations

import pytest

from optimizer.errors import InvalidInput
from optimizer.policy.hpa_law import Behavior, HpaSpec, PolicyType, ScalingRules, StepPolicy
from optimizer.simulation.cluster import (
    Actuation,
    ClusterOptions,
    HpaOptions,
    Requests,
    Rhythm,
    ScrapeOptions,
    simulate,
)
from optimizer.simulation.decider import ScraperView
from optimizer.simulation.deciders import make_hpa_kv, make_hpa_queue, make_keda
from tests.builders.simulated_clusters import KEY, Scripted, make_requests, make_scenario, make_static, make_variant

SCENARIO = make_scenario(make_requests(0.01, 900.0), 900.0, initial=1)


def follow(script: Scripted, hpa: HpaOptions | None = None) -> list[tuple[float, int]]:
    options = ClusterOptions(actuation=Actuation.HPA, hpa=hpa or HpaOptions(phase_s=7.0))
    return simulate(SCENARIO, script, options).list_replica_steps(KEY)


def test_the_recommended_autoscaler_follows_exactly_at_its_next_sync() -> None:
    script = Scripted([(0.0, {KEY: 1}), (61.0, {KEY: 40}), (121.0, {KEY: 7}), (181.0, {KEY: 0}), (241.0, {KEY: 2})])
    assert follow(script) == [(0.0, 1), (67.0, 40), (127.0, 7), (187.0, 0), (247.0, 2)]


def test_a_direct_answer_is_requested_at_once() -> None:
    result = simulate(SCENARIO, Scripted([(0.0, {KEY: 1}), (61.0, {KEY: 40})]))
    assert result.list_replica_steps(KEY) == [(0.0, 1), (61.0, 40)]


def test_a_decider_may_say_that_it_is_followed() -> None:
    class Followed(Scripted):
        actuation = Actuation.HPA

    options = ClusterOptions(hpa=HpaOptions(phase_s=7.0))
    result = simulate(SCENARIO, Followed([(0.0, {KEY: 1}), (61.0, {KEY: 40})]), options)
    assert result.list_replica_steps(KEY) == [(0.0, 1), (67.0, 40)]


def test_an_autoscaler_without_behavior_doubles_and_waits_five_minutes_to_shrink() -> None:
    plain = HpaOptions(HpaSpec(min_replicas=1, max_replicas=100), phase_s=7.0)
    script = Scripted([(0.0, {KEY: 1}), (61.0, {KEY: 20}), (121.0, {KEY: 4})])
    # Up: at most double, to no fewer than 4. Down: the highest proposal of 300 s holds; the last for 20 came at 112 s.
    assert follow(script, plain) == [(0.0, 1), (67.0, 4), (82.0, 8), (97.0, 16), (112.0, 20), (412.0, 4)]


def test_steps_within_the_tolerance_are_not_followed() -> None:
    plain = HpaOptions(HpaSpec(min_replicas=1, max_replicas=100), phase_s=7.0)
    script = Scripted([(0.0, {KEY: 4}), (46.0, {KEY: 20}), (121.0, {KEY: 21})])
    assert follow(script, plain)[-1][1] == 20


def test_policies_bound_the_steps_and_syncs_come_as_often_as_told() -> None:
    up = ScalingRules((StepPolicy(PolicyType.PODS, 2, 60.0),), tolerance_ratio=0.0)
    down = ScalingRules((StepPolicy(PolicyType.PERCENT, 50, 60.0),), stabilization_window_s=0.0, tolerance_ratio=0.0)
    spec = HpaSpec(min_replicas=1, max_replicas=100, behavior=Behavior(up, down))
    script = Scripted([(0.0, {KEY: 1}), (61.0, {KEY: 6}), (301.0, {KEY: 1})])
    steps = follow(script, HpaOptions(spec, sync_s=30.0, phase_s=7.0))
    assert steps == [(0.0, 1), (67.0, 3), (127.0, 5), (187.0, 6), (307.0, 3), (367.0, 1)]


def test_a_late_metric_is_followed_late() -> None:
    script = Scripted([(0.0, {KEY: 1}), (61.0, {KEY: 3})])
    assert follow(script, HpaOptions(phase_s=7.0, metric_delay_s=20.0)) == [(0.0, 1), (82.0, 3)]


def test_before_the_first_number_nothing_moves() -> None:
    script = Scripted([(200.0, {KEY: 5})])
    assert follow(script) == [(0.0, 1), (217.0, 5)]


def test_nobody_may_ask_for_what_cannot_be() -> None:
    with pytest.raises(InvalidInput, match="replicas of a"):
        simulate(SCENARIO, make_static(-1))
    stranger = make_static({make_variant("x").key(): 1})
    with pytest.raises(InvalidInput, match="answer"):
        simulate(SCENARIO, stranger, ClusterOptions(actuation=Actuation.HPA))


# --- autoscalers that decide themselves -------------------------------------------------------------------------------
class Synced(Scripted):
    """A scaler behind a metrics pipeline, asked at its own syncs."""

    rhythm = Rhythm.SYNCS


def watch_syncs(options: ClusterOptions, seed: int = 0) -> list[ScraperView]:
    decider = Synced([(0.0, {KEY: 1})], keeps_views=True)
    simulate(SCENARIO, decider, options, seed)
    return decider.views


def get_page_ages_s(views: list[ScraperView]) -> set[float]:
    return {
        round(view.now_s - reading.time_s, 6)
        for view in views
        for (readings) in view.readings.values()
        for reading in readings
    }


def test_an_autoscaler_syncs_at_its_own_moments_not_behind_rounds_of_pages() -> None:
    views = watch_syncs(ClusterOptions(scrape=ScrapeOptions(jitter_s=0.0), hpa=HpaOptions(phase_s=11.0)))
    assert [view.now_s for view in views[:3]] == [11.0, 26.0, 41.0]
    assert get_page_ages_s(views) == {11.0}
    assert views[0].snapshot.models[0].variants[0].pods[0].seen_s == 0.0


def test_what_an_autoscaler_sees_is_as_old_as_its_pipeline_makes_it() -> None:
    scrape = ScrapeOptions(jitter_s=0.0, delay_s=2.0)
    for delay_s, age_s in ((9.0, 11.0), (10.0, 26.0)):  # 11 s after a round, pages of 2 s + the delay and older
        hpa = HpaOptions(phase_s=11.0, metric_delay_s=delay_s)
        assert get_page_ages_s(watch_syncs(ClusterOptions(scrape=scrape, hpa=hpa))) == {age_s}


def test_syncs_are_drawn_by_the_seed_and_by_nothing_else() -> None:
    firsts_s = [watch_syncs(ClusterOptions(), seed)[0].now_s for seed in range(20)]
    assert len(set(firsts_s)) == 20
    assert all(0.0 <= first_s < 15.0 for first_s in firsts_s)
    assert sum(firsts_s) / 20 == pytest.approx(7.5, abs=4 * 15.0 / 12**0.5 / 20**0.5)
    for seed, first_s in enumerate(firsts_s[:3]):
        for decider in (make_hpa_queue(SCENARIO.models), make_hpa_kv(SCENARIO.models), make_keda(SCENARIO.models)):
            asked_s: list[float] = []
            step = decider.step

            def note(view: ScraperView, step: object = step, asked_s: list[float] = asked_s) -> object:
                asked_s.append(view.now_s)
                return step(view)  # type: ignore[operator]

            decider.step = note  # type: ignore[method-assign, assignment]
            simulate(SCENARIO, decider, seed=seed)
            assert asked_s[0] == first_s
        followed = simulate(
            SCENARIO, Scripted([(0.0, {KEY: 5})]), ClusterOptions(actuation=Actuation.HPA), seed
        ).list_replica_steps(KEY)
        assert followed[1] == (first_s if first_s >= 1.0 else first_s + 15.0, 5)


def test_a_late_pipeline_makes_a_peer_late() -> None:
    """A queue that appears at once: its HPA acts at the first sync whose pages are new enough to show it."""
    requests = Requests.from_columns([59.5] * 600, 100, 2000)
    scenario = make_scenario(requests, 200.0)
    for delay_s, acted_s in ((0.0, 68.0), (10.0, 83.0), (20.0, 83.0), (40.0, 113.0)):
        options = ClusterOptions(
            scrape=ScrapeOptions(jitter_s=0.0), hpa=HpaOptions(phase_s=8.0, metric_delay_s=delay_s)
        )
        steps = simulate(scenario, make_hpa_queue(scenario.models), options).list_replica_steps(KEY)
        assert steps[1][0] == acted_s
