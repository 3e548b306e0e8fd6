from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from optimizer import BUILT_IN_POLICIES
from optimizer.domain import ReasonCode, ServedModel, SignalKind, SignalSpec, Variant
from optimizer.policy import InvalidOptions, OptionsChecker, SignalReader
from optimizer.policy.hpa_law import (
    DEFAULT_DOWN,
    DEFAULT_UP,
    PolicyType,
    Proposal,
    ScalingRules,
    SelectPolicy,
    Step,
    StepPolicy,
)
from optimizer.policy.hpa_law.law import HpaState
from optimizer.policy.hpa_law.memory import decode_hpa_state, encode_hpa_state
from optimizer.policy.target import TargetPolicy, decode_target_options
from tests.builders.pool_views import make_line, make_view
from tests.builders.story import make_model, make_settings, make_variant

POOL, OTHER = make_variant("pool"), make_variant("other")
WAITING = {"name": "waiting", "series": "vllm:num_requests_waiting", "target": 5}
KV = {"name": "kv", "series": "vllm:kv_cache_usage_perc", "target": 0.5}
AT_ONCE: dict[str, Any] = {"scale_down": {"stabilization_window": 0}}


def make_followed(
    *variants: Variant, metrics: Sequence[Mapping[str, Any]] = (WAITING,), gateway: bool = False, **options: Any
) -> ServedModel:
    return replace(
        make_model(*variants, gateway=gateway), policy="target", policy_options={"metrics": list(metrics), **options}
    )


class Watch:
    """One LLM under the policy, pass by pass."""

    def __init__(self, model: ServedModel) -> None:
        self.model, self.memory, self.now_s = model, dict[str, Any](), 0.0

    def see(self, *lines: Any, period_s: float = 15.0, **view: Any) -> dict[str, int]:
        self.now_s += period_s
        proposal, memory = TargetPolicy().propose(
            make_view(self.model, lines, **view), self.memory, self.now_s, make_settings(self.model)
        )
        self.memory = json.loads(json.dumps(memory))
        return {key.variant: replicas for key, replicas in proposal.by_variant.items()}

    def see_pool(self, *waiting: float | None, published: int | None = None) -> int:
        line = make_line(POOL, [0.0] * len(waiting), published=published)
        return self.see(line, signals={"pool": {"waiting": waiting}})["pool"]


def test_it_can_be_chosen_by_name_and_says_what_it_reads() -> None:
    policy = BUILT_IN_POLICIES["target"]
    assert isinstance(policy, TargetPolicy)
    assert isinstance(policy, SignalReader)
    assert isinstance(policy, OptionsChecker)
    labels = {"model_name": "llama"}
    ttft = {
        "series": "vllm:time_to_first_token_seconds",
        "kind": "quantile",
        "quantile_ratio": 0.9,
        "window": "2m",
        "target": 1,
    }
    assert policy.list_signals({"metrics": [{**WAITING, "labels": labels}, ttft]}) == (
        SignalSpec("waiting", "vllm:num_requests_waiting", labels=labels),
        SignalSpec(str(ttft["series"]), str(ttft["series"]), SignalKind.QUANTILE, {}, 0.9, 120.0),
    )


def test_the_mean_over_the_pods_is_kept_at_the_target() -> None:
    assert Watch(make_followed(POOL)).see_pool(10.0, 10.0) == 4
    assert Watch(make_followed(POOL)).see_pool(5.2, 5.2) == 2  # within the dead band
    assert Watch(make_followed(POOL, metrics=({**WAITING, "tolerance": 0.0},))).see_pool(5.2, 5.2) == 3


def test_the_metric_that_asks_for_most_counts() -> None:
    watch = Watch(make_followed(POOL, metrics=(WAITING, KV)))
    line = make_line(POOL, [0.0, 0.0])
    assert watch.see(line, signals={"pool": {"waiting": [0.0, 1.0], "kv": [0.9, 0.9]}}) == {"pool": 4}
    assert watch.see(line, signals={"pool": {"waiting": [30.0, 1.0], "kv": [0.4, 0.4]}}) == {"pool": 6}  # of 7


def test_a_metric_that_nobody_tells_lets_it_grow_and_not_shrink() -> None:
    metrics, line = (WAITING, KV), make_line(POOL, [0.0, 0.0])
    grown = Watch(make_followed(POOL, metrics=metrics, **AT_ONCE))
    assert grown.see(line, signals={"pool": {"waiting": [10.0, 10.0]}}) == {"pool": 4}
    kept = Watch(make_followed(POOL, metrics=metrics, **AT_ONCE))
    assert kept.see(line, signals={"pool": {"waiting": [0.0, 0.0]}}) == {"pool": 2}
    assert kept.see(line, signals={}) == {"pool": 2}
    assert kept.memory["pool"]["proposals"] == []


def test_pods_that_say_nothing_count_as_busy_while_it_shrinks() -> None:
    watch = Watch(make_followed(POOL, **AT_ONCE))
    assert watch.see_pool(0.0, None, None, 0.0) == 2
    line = make_line(POOL, [0.0], starting=3)
    assert Watch(make_followed(POOL, **AT_ONCE)).see(line, signals={"pool": {"waiting": [0.0]}}) == {"pool": 3}


FEW = ReasonCode.FEW_SAMPLES
SLOW = {
    "name": "slow",
    "series": "vllm:time_to_first_token_seconds",
    "kind": "quantile",
    "quantile_ratio": 0.9,
    "target": 1.5,
}


@pytest.mark.parametrize(
    "waiting, slow, expected",
    [
        ([0.0] * 4, [FEW] * 4, 1),  # thin traffic: the queue decides
        ([9.0] * 4, [FEW] * 4, 8),
        ([0.0] * 4, [FEW, FEW, FEW, None], 4),  # one does not tell at all
        ([0.0] * 4, [None] * 4, 4),
        ([0.0] * 4, [FEW, FEW, FEW, ReasonCode.STALE], 4),
        ([None] * 4, [FEW] * 4, 4),  # no other metric
        ([0.0] * 4, [1.2, FEW, FEW, FEW], 1),  # 1.2 / 1.5, the others being idle
        ([0.0] * 4, [1.2, 1.2, 1.2, FEW], 3),  # 3.6 / 1.5
        ([0.0] * 4, [9.0, FEW, FEW, FEW], 6),  # 9 / 1.5: slow where it is busy
        ([0.0] * 4, [2.0, FEW, FEW, FEW], 4),  # one is slow, not enough to grow: no reason for fewer
    ],
)
def test_too_few_observations_for_a_quantile_are_no_reason_to_keep_what_nobody_uses(
    waiting: list[float | None], slow: list[float | ReasonCode | None], expected: int
) -> None:
    watch = Watch(make_followed(POOL, metrics=(WAITING, SLOW), **AT_ONCE))
    line = make_line(POOL, [0.0] * 4)
    assert watch.see(line, signals={"pool": {"waiting": waiting, "slow": slow}}) == {"pool": expected}


def test_a_quantile_alone_keeps_what_there_is_while_observations_are_few() -> None:
    watch = Watch(make_followed(POOL, metrics=(SLOW,), **AT_ONCE))
    assert watch.see(make_line(POOL, [0.0] * 3), signals={"pool": {"slow": [FEW] * 3}}) == {"pool": 3}


def test_the_default_window_keeps_the_highest_of_five_minutes() -> None:
    watch = Watch(make_followed(POOL))
    assert watch.see_pool(5.0, 5.0, 5.0) == 3
    counts = [watch.see_pool(1.0, 1.0, 1.0) for _ in range(21)]
    assert counts[:19] == [3] * 19
    assert counts[-1] == 1


def test_what_is_found_at_the_start_is_kept_for_the_window() -> None:
    watch = Watch(make_followed(POOL))
    counts = [watch.see_pool(0.0, 0.0, 0.0) for _ in range(22)]
    assert counts[:19] == [3] * 19
    assert counts[-1] == 1


def test_step_limits_hold_growth_back() -> None:
    model = make_followed(POOL, scale_up={"policies": [{"type": "Pods", "value": 1, "period": "60s"}]})
    watch = Watch(model)
    assert watch.see_pool(50.0) == 2
    assert watch.see_pool(50.0, published=2) == 2
    for _ in range(3):
        count = watch.see_pool(50.0, published=2)
    assert count == 3


def test_a_direction_can_be_switched_off() -> None:
    watch = Watch(make_followed(POOL, scale_down={"select": "Disabled"}))
    assert [watch.see_pool(0.0, 0.0) for _ in range(40)][-1] == 2


def test_every_variant_is_followed_by_itself_and_one_without_replicas_stays_so() -> None:
    watch = Watch(make_followed(POOL, OTHER, make_variant("none")))
    lines = (make_line(POOL, [0.0]), make_line(OTHER, [0.0, 0.0]), make_line(make_variant("none"), published=0))
    counts = watch.see(*lines, signals={"pool": {"waiting": [11.0]}, "other": {"waiting": [5.0, 5.0]}})
    assert counts == {"pool": 3, "other": 2, "none": 0}


def test_the_last_replica_goes_only_when_the_llm_may_be_zero() -> None:
    line = make_line(POOL, [0.0])
    signals: dict[str, Any] = {"signals": {"pool": {"waiting": [0.0]}}}
    silent = {"rate_per_s": 0.0, "silent_s": 900.0}
    assert Watch(make_followed(POOL, gateway=True, **AT_ONCE)).see(line, **signals, **silent) == {"pool": 0}
    assert Watch(make_followed(POOL, **AT_ONCE)).see(line, **signals, **silent) == {"pool": 1}
    assert Watch(make_followed(POOL, gateway=True, **AT_ONCE)).see(line, **signals) == {"pool": 1}


def test_bounds_of_the_variant_hold() -> None:
    variant = make_variant("pool", minimum=2, maximum=3)
    watch = Watch(make_followed(variant, **AT_ONCE))
    line = make_line(variant, [0.0, 0.0])
    assert watch.see(line, signals={"pool": {"waiting": [99.0, 99.0]}}) == {"pool": 3}
    assert watch.see(line, signals={"pool": {"waiting": [0.0, 0.0]}}) == {"pool": 2}


def test_a_quantile_beyond_the_last_edge_counts_as_twice_the_target() -> None:
    assert Watch(make_followed(POOL)).see_pool(math.inf, math.inf) == 4


def test_more_load_never_gives_fewer_replicas() -> None:
    counts = [Watch(make_followed(POOL, **AT_ONCE)).see_pool(load / 3, load / 2) for load in range(60)]
    assert counts == sorted(counts)


def test_a_memory_that_makes_no_sense_is_begun_anew() -> None:
    for broken in ({"pool": 3}, {"pool": {"proposals": [[math.nan, 1]], "steps": [], "scaled_to_zero": False}}):
        watch = Watch(make_followed(POOL))
        watch.memory = dict(broken)
        assert watch.see_pool(10.0) == 2


def test_what_an_hpa_remembers_survives_a_document_without_what_cannot_matter() -> None:
    proposals = tuple(Proposal(15.0 * n, count) for n, count in enumerate((3, 3, 5, 5, 5, 3)))
    state = HpaState(proposals, (Step(1.0, -2),), True)
    kept = decode_hpa_state(json.loads(json.dumps(encode_hpa_state(state))))
    assert kept == HpaState((Proposal(60.0, 5), Proposal(75.0, 3)), (Step(1.0, -2),), True)


def test_labels_that_look_like_numbers_are_texts() -> None:
    labels = {"model_name": "llama", "engine": 0, "share": 0.5, "is_base": True}
    (signal,) = TargetPolicy().list_signals({"metrics": [{**WAITING, "labels": labels}]})
    assert signal.labels == {"model_name": "llama", "engine": "0", "share": "0.5", "is_base": "true"}
    with pytest.raises(InvalidOptions, match=r"metrics\[0\].labels.engine must be a text, got \[\]"):
        decode_target_options({"metrics": [{**WAITING, "labels": {"engine": []}}]})


def test_options_have_the_defaults_of_the_hpa() -> None:
    options = decode_target_options({"metrics": [WAITING]})
    assert (options.behavior.up, options.behavior.down) == (DEFAULT_UP, DEFAULT_DOWN)
    assert options.metrics[0].tolerance_ratio == 0.1
    rules = {"stabilization_window": "1m", "select": "Min", "policies": [{"type": "Percent", "value": 50}]}
    assert decode_target_options({"metrics": [WAITING], "scale_up": rules}).behavior.up == ScalingRules(
        (StepPolicy(PolicyType.PERCENT, 50, 15.0),), SelectPolicy.MIN, 60.0
    )


@pytest.mark.parametrize(
    "options, problems",
    [
        ({}, ["policy_options.metrics is missing: must be a list of mappings"]),
        ({"metrics": []}, ["policy_options.metrics must be a list of at least one metric, got []"]),
        (
            {"metrics": [{"series": "a", "target": 1}, {"series": "a", "target": 0}], "scale_upp": {}},
            [
                "policy_options.metrics[1].name must be unique, got 'a'",
                "policy_options.scale_upp is not known; did you mean scale_up?",
                "policy_options.metrics[1].target must be a number >= 0.001, got 0",
            ],
        ),
        (
            {"metrics": [{"series": "a", "kind": "quantile", "target": 1}, {"name": "b", "quantile_ratio": 0.5}]},
            [
                "policy_options.metrics[0].quantile_ratio must be given with kind quantile, such as 0.9, got None",
                "policy_options.metrics[1].series is missing: must be a text",
                "policy_options.metrics[1].quantile_ratio must be left out unless kind is quantile, got 0.5",
                "policy_options.metrics[1].target is missing: must be a number >= 0.001",
            ],
        ),
        (
            {"metrics": [WAITING], "scale_down": {"policies": [{"type": "pods", "value": 0, "period": "2h"}]}},
            [
                "policy_options.scale_down.policies[0].type must be one of Pods, Percent, got 'pods'",
                "policy_options.scale_down.policies[0].value must be a whole number >= 1, got 0",
                "policy_options.scale_down.policies[0].period must be a duration, such as 30s, 1m30s or a number of "
                "seconds >= 1 and <= 1800 [s], got '2h'",
            ],
        ),
    ],
)
def test_all_that_is_wrong_with_the_options_is_named_at_once(options: dict[str, Any], problems: list[str]) -> None:
    with pytest.raises(InvalidOptions) as caught:
        decode_target_options(options)
    assert [str(problem) for problem in caught.value.problems] == problems
