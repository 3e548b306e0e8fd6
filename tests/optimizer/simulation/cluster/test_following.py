"""Published numbers are followed by autoscalers as the law of the HPA has it, at its syncs and no sooner."""

from __future__ import annotations

import pytest

from optimizer.errors import InvalidInput
from optimizer.policy.hpa_law import HpaSpec
from optimizer.simulation.cluster import Actuation, ClusterOptions, HpaOptions, simulate
from tests.builders.simulated_clusters import KEY, Scripted, make_requests, make_scenario, make_static, make_variant

SCENARIO = make_scenario(make_requests(0.01, 900.0), 900.0, initial=1)


def follow(script: Scripted, hpa: HpaOptions | None = None) -> list[tuple[float, int]]:
    options = ClusterOptions(actuation=Actuation.HPA, hpa=hpa or HpaOptions())
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

    result = simulate(SCENARIO, Followed([(0.0, {KEY: 1}), (61.0, {KEY: 40})]))
    assert result.list_replica_steps(KEY) == [(0.0, 1), (67.0, 40)]


def test_an_autoscaler_without_behavior_doubles_and_waits_five_minutes_to_shrink() -> None:
    plain = HpaOptions(HpaSpec(min_replicas=1, max_replicas=100))
    script = Scripted([(0.0, {KEY: 1}), (61.0, {KEY: 20}), (121.0, {KEY: 4})])
    # Up: at most double, to no fewer than 4. Down: the highest proposal of 300 s holds; the last for 20 came at 112 s.
    assert follow(script, plain) == [(0.0, 1), (67.0, 4), (82.0, 8), (97.0, 16), (112.0, 20), (412.0, 4)]


def test_steps_within_the_tolerance_are_not_followed() -> None:
    plain = HpaOptions(HpaSpec(min_replicas=1, max_replicas=100))
    script = Scripted([(0.0, {KEY: 4}), (46.0, {KEY: 20}), (121.0, {KEY: 21})])
    assert follow(script, plain)[-1][1] == 20


def test_a_late_metric_is_followed_late() -> None:
    script = Scripted([(0.0, {KEY: 1}), (61.0, {KEY: 3})])
    assert follow(script, HpaOptions(metric_delay_s=20.0)) == [(0.0, 1), (82.0, 3)]


def test_before_the_first_number_nothing_moves() -> None:
    script = Scripted([(200.0, {KEY: 5})])
    assert follow(script) == [(0.0, 1), (217.0, 5)]


def test_nobody_may_ask_for_what_cannot_be() -> None:
    with pytest.raises(InvalidInput, match="replicas of a"):
        simulate(SCENARIO, make_static(-1))
    stranger = make_static({make_variant("x").key(): 1})
    with pytest.raises(InvalidInput, match="answer"):
        simulate(SCENARIO, stranger, ClusterOptions(actuation=Actuation.HPA))
