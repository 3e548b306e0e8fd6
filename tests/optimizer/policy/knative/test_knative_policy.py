from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest

from optimizer import BUILT_IN_POLICIES, InvalidInput
from optimizer.domain import ServedModel, Variant
from optimizer.policy import InvalidOptions, OptionsChecker
from optimizer.policy.knative import KnativePolicy, KnativeSettings, decode_knative_options
from optimizer.policy.knative.pool import decode_pool, encode_pool, start_pool, step_pool
from optimizer.policy.knative.window import BucketWindow
from tests.builders.pool_views import make_line, make_view
from tests.builders.story import make_model, make_settings, make_variant

POOL, OTHER = make_variant("pool"), make_variant("other")
TARGET = {"total": 10, "utilization_ratio": 1.0}


def make_pool_model(*variants: Variant, gateway: bool = False, **options: Any) -> ServedModel:
    return replace(make_model(*variants, gateway=gateway), policy="knative", policy_options={**TARGET, **options})


class Watch:
    """One LLM under the policy, pass by pass."""

    def __init__(self, model: ServedModel) -> None:
        self.model, self.memory, self.now_s = model, dict[str, Any](), 0.0

    def see(self, *lines: Any, period_s: float = 15.0, **view: Any) -> dict[str, int]:
        self.now_s += period_s
        proposal, memory = KnativePolicy().propose(
            make_view(self.model, lines, **view), self.memory, self.now_s, make_settings(self.model)
        )
        self.memory = json.loads(json.dumps(memory))
        return {key.variant: replicas for key, replicas in proposal.by_variant.items()}


def test_it_can_be_chosen_by_name() -> None:
    assert isinstance(BUILT_IN_POLICIES["knative"], KnativePolicy)
    assert isinstance(BUILT_IN_POLICIES["knative"], OptionsChecker)


def test_steady_load_gives_the_load_over_the_target() -> None:
    watch = Watch(make_pool_model(POOL))
    counts = [watch.see(make_line(POOL, [12.0, 13.0]))["pool"] for _ in range(8)]
    assert counts[-1] == 3


def test_twice_the_ready_capacity_is_panic_and_nothing_is_lost_in_it() -> None:
    watch = Watch(make_pool_model(POOL))
    for _ in range(6):
        watch.see(make_line(POOL, [8.0]))
    assert watch.see(make_line(POOL, [60.0]))["pool"] == 6
    after = [watch.see(make_line(POOL, [1.0], published=6))["pool"] for _ in range(4)]
    assert after == [6, 6, 6, 6]
    assert watch.see(make_line(POOL, [1.0], published=6))["pool"] < 6


def test_who_does_not_answer_is_taken_for_average() -> None:
    watch = Watch(make_pool_model(POOL))
    for _ in range(6):
        count = watch.see(make_line(POOL, [10.0, None, 10.0, None]))["pool"]
    assert count == 4


def test_without_any_answer_what_there_is_stays_and_nothing_is_forgotten() -> None:
    watch = Watch(make_pool_model(POOL))
    for _ in range(6):
        watch.see(make_line(POOL, [10.0, 10.0]))
    memory = watch.memory
    assert watch.see(make_line(POOL, [None, None], published=7))["pool"] == 7
    assert watch.memory == memory
    assert watch.see(make_line(POOL, starting=3))["pool"] == 3


def test_a_restart_keeps_what_serves_for_a_stable_window() -> None:
    watch = Watch(make_pool_model(POOL))
    counts = [watch.see(make_line(POOL, [0.0] * 8))["pool"] for _ in range(6)]
    assert counts[:5] == [8] * 5
    assert counts[5] < 8


def test_every_variant_is_a_pool_of_its_own_and_one_without_replicas_stays_so() -> None:
    watch = Watch(make_pool_model(POOL, OTHER, make_variant("none")))
    for _ in range(8):
        counts = watch.see(
            make_line(POOL, [15.0, 15.0]), make_line(OTHER, [5.0]), make_line(make_variant("none"), published=0)
        )
    assert counts == {"pool": 3, "other": 1, "none": 0}


def test_bounds_of_the_variant_hold() -> None:
    variant = make_variant("pool", minimum=2, maximum=3)
    watch = Watch(make_pool_model(variant))
    assert watch.see(make_line(variant, [100.0, 100.0]))["pool"] == 3
    calm = Watch(make_pool_model(variant))
    assert [calm.see(make_line(variant, [0.0, 0.0]))["pool"] for _ in range(9)][-1] == 2


def test_zero_needs_a_silent_llm_that_something_can_wake() -> None:
    silent = {"rate_per_s": 0.0, "silent_s": 900.0}
    for gateway, view, least in ((True, silent, 0), (False, silent, 1), (True, {"rate_per_s": 1.0}, 1)):
        watch = Watch(make_pool_model(POOL, gateway=gateway))
        counts = [watch.see(make_line(POOL, [0.0]), **view)["pool"] for _ in range(6)]
        assert counts[0] == 1  # the grace period
        assert counts[-1] == least


def test_the_rate_of_a_variant_is_its_measured_share() -> None:
    watch = Watch(make_pool_model(POOL, OTHER, metric="rate", total=2))
    for _ in range(6):
        counts = watch.see(
            make_line(POOL, [1.0, 1.0]), make_line(OTHER, [1.0]), rate_per_s=8.0, shares={"pool": 1.5, "other": 1.0}
        )
    assert counts == {"pool": 3, "other": 1}


def test_more_load_never_gives_fewer_replicas() -> None:
    counts = []
    for load in range(0, 80, 3):
        watch = Watch(make_pool_model(POOL))
        counts.append([watch.see(make_line(POOL, [float(load)] * 2))["pool"] for _ in range(12)][-1])
    assert counts == sorted(counts)


def test_a_memory_that_makes_no_sense_is_begun_anew() -> None:
    for broken in ({"pool": 7}, {"pool": {"stable": 1}}, {"pool": {"panic_since_s": "x"}}):
        watch = Watch(make_pool_model(POOL))
        watch.memory = broken
        assert watch.see(make_line(POOL, [5.0, 5.0]))["pool"] == 2


def test_the_memory_of_a_pool_survives_a_document() -> None:
    settings = KnativeSettings(scale_down_delay_s=60.0)
    state = start_pool(4, 100.0, settings)
    for second in range(100, 200, 7):
        _, state = step_pool(state, 40.0 + second, 4, float(second), settings)
    assert decode_pool(json.loads(json.dumps(encode_pool(state))), settings) == state
    shorter = decode_pool(encode_pool(state), replace(settings, stable_window_s=30.0))
    assert shorter is not None
    assert shorter.stable.length == len(shorter.stable.sums) == 30


def test_without_readings_the_means_stand_until_the_stable_window_is_empty() -> None:
    settings = KnativeSettings(total=10.0, utilization_ratio=1.0, min_replicas=1)
    state = start_pool(1, 0.0, settings)
    for second in range(0, 62, 2):
        wanted, state = step_pool(state, 30.0, 3, float(second), settings)
    assert wanted == 3
    answers = []
    for second in range(62, 140, 2):
        wanted, state = step_pool(state, None, 3, float(second), settings)
        answers.append(wanted)
    assert answers[0] == 3
    assert answers[-1] is None


def test_options_have_the_peers_defaults() -> None:
    assert decode_knative_options({}) == KnativeSettings()


def test_all_that_is_wrong_with_the_options_is_named_at_once() -> None:
    with pytest.raises(InvalidOptions) as caught:
        decode_knative_options(
            {
                "metric": "tokens",
                "stable_windw": "60s",
                "stable_window": "6.5s",
                "panic_window_ratio": 0,
                "max_scale_up_rate": 1,
                "utilization_ratio": 70,
            }
        )
    assert isinstance(caught.value, InvalidInput)
    assert [str(problem) for problem in caught.value.problems] == [
        "policy_options.metric must be one of concurrency, rate, got 'tokens'",
        "policy_options.utilization_ratio must be a number > 0 and <= 1, got 70",
        "policy_options.stable_window must be 6..3600 whole seconds, got 6.5",
        "policy_options.panic_window_ratio must be 0.01..1, got 0.0",
        "policy_options.max_scale_up_rate must be > 1, got 1.0",
        "policy_options.stable_windw is not known; did you mean stable_window?",
    ]


def test_a_long_window_is_kept_small_with_the_total_and_the_newest_minute_it_had() -> None:
    chance = random.Random(11)
    settings = KnativeSettings(stable_window_s=3600.0, panic_window_ratio=1.0)
    pool = start_pool(3, 1000.0, settings)
    window = BucketWindow(3600, 1000, 4599, tuple(chance.uniform(0.0, 9.0) for _ in range(3600)))
    told = json.dumps(encode_pool(replace(pool, stable=window, panic=window)))
    assert len(told) < 5000
    kept = decode_pool(json.loads(told), settings)
    assert kept is not None
    assert kept.stable.compute_mean(4599.0) == pytest.approx(window.compute_mean(4599.0), abs=1e-4)
    assert kept.stable.compute_mean(6000.0) == pytest.approx(window.compute_mean(6000.0), rel=0.03)
    assert kept.stable.sums[-60:] == pytest.approx(window.sums[-60:], abs=1e-4)
    assert kept.stable.compute_weighted_mean(4599.0) == pytest.approx(window.compute_weighted_mean(4599.0), abs=1e-3)
    again = decode_pool(json.loads(json.dumps(encode_pool(kept))), settings)
    assert again == kept
