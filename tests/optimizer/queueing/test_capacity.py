"""Capacity within the SLO: monotone, explained, and honest where there is none."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from optimizer.domain import (
    IterationLaw,
    LatencyQuantity,
    LengthDistribution,
    PerformanceProfile,
    ProfileOrigin,
    ReasonCode,
    ServiceClass,
    Slo,
    Variant,
    Workload,
    WorkloadRef,
)
from optimizer.errors import InvalidInput
from optimizer.queueing import CapacityEstimate, estimate_capacity
from tests.builders.profiles import CONVERSATION, alike, spread

LAW = IterationLaw(0.0273, 1.18e-4, 5.5e-8, 1.61e-4)
PROFILE = PerformanceProfile(law=LAW, kv_capacity_tokens=418_090.0, derate_ratio=1.0)
VARIANT = Variant("default", "llm", "fast", WorkloadRef("default", "fast"), "A100", performance=PROFILE)


def promise(percentile: float = 95.0, **targets_s: float) -> tuple[ServiceClass, ...]:
    slos = tuple(Slo(LatencyQuantity(name), target_s, percentile) for name, target_s in targets_s.items())
    return (ServiceClass("chat", slos),)


def capacity_per_s(estimate: CapacityEstimate) -> float:
    value = estimate.capacity_per_s.value
    assert value is not None
    return value


def test_the_tightest_promise_binds_and_the_others_are_kept() -> None:
    estimate = estimate_capacity(VARIANT, spread(*CONVERSATION), promise(ttft=2.0, itl=0.06, ttlt=90.0))
    assert estimate.binding == "itl"
    assert estimate.origin is ProfileOrigin.PROFILE
    attained = {latency.slo.quantity: latency.attainment_ratio for latency in estimate.latencies}
    assert attained[LatencyQuantity.ITL] == pytest.approx(0.95, abs=1e-3)
    assert min(attained.values()) >= 0.95
    assert estimate_capacity(VARIANT, spread(*CONVERSATION), promise(ttft=0.75, itl=0.5)).binding == "ttft"
    assert estimate_capacity(VARIANT, spread(*CONVERSATION), promise(ttft=30.0, ttlt=15.0)).binding == "ttlt"


def test_without_promises_what_fits_is_the_capacity() -> None:
    estimate = estimate_capacity(VARIANT, spread(*CONVERSATION), ())
    assert estimate.binding == "kv"
    assert 2.0 < capacity_per_s(estimate) < 1.0 / (LAW.per_prompt_token_s * CONVERSATION[0])


def test_the_derate_scales_the_capacity() -> None:
    derated = replace(VARIANT, performance=replace(PROFILE, derate_ratio=0.85))
    classes, workload = promise(itl=0.06), spread(*CONVERSATION)
    full = capacity_per_s(estimate_capacity(VARIANT, workload, classes))
    assert capacity_per_s(estimate_capacity(derated, workload, classes)) == pytest.approx(0.85 * full)


def test_what_the_engine_says_of_its_cache_wins_over_the_profile() -> None:
    workload = alike(3000.0, 500.0)
    own = capacity_per_s(estimate_capacity(VARIANT, workload, ()))
    assert capacity_per_s(estimate_capacity(VARIANT, workload, (), kv_capacity_tokens=60_000.0)) < 0.7 * own


def test_no_profile_is_absent_with_a_reason() -> None:
    for profile in (None, PerformanceProfile()):
        estimate = estimate_capacity(replace(VARIANT, performance=profile), spread(*CONVERSATION), promise(itl=0.1))
        assert estimate.capacity_per_s.value is None
        assert estimate.origin is None
        assert estimate.reason is not None
        assert estimate.reason.code is ReasonCode.NO_PROFILE
        assert estimate.capacity_per_s.reason == estimate.reason


@pytest.mark.parametrize(
    "targets_s, binding", [({"itl": 0.02}, "itl"), ({"ttft": 0.1}, "ttft"), ({"ttlt": 3.0, "itl": 1.0}, "ttlt")]
)
def test_a_target_below_a_lone_request_is_zero_with_a_reason(targets_s: dict[str, float], binding: str) -> None:
    estimate = estimate_capacity(VARIANT, spread(*CONVERSATION), promise(**targets_s))
    assert estimate.capacity_per_s.value == 0.0
    assert estimate.binding == binding
    assert estimate.reason is not None
    assert estimate.reason.code is ReasonCode.TARGET_BELOW_LONE_REQUEST


def test_a_cache_too_small_for_one_request_is_zero_with_a_reason() -> None:
    estimate = estimate_capacity(VARIANT, alike(3000.0, 100.0), promise(itl=0.5), kv_capacity_tokens=2000.0)
    assert estimate.capacity_per_s.value == 0.0
    assert estimate.reason is not None
    assert estimate.reason.code is ReasonCode.LIMIT_BINDS


def test_answers_of_one_token_have_no_itl_to_miss() -> None:
    estimate = estimate_capacity(VARIANT, alike(1000.0, 1.0), promise(ttft=2.0, itl=0.001))
    assert estimate.binding == "ttft"
    assert 0.5 / (LAW.per_prompt_token_s * 1000.0) < capacity_per_s(estimate) < 1.0 / (LAW.per_prompt_token_s * 1000.0)


def test_a_cached_prefix_saves_prefill_but_no_cache_room() -> None:
    classes = promise(itl=0.06, ttft=2.0)
    plain = capacity_per_s(estimate_capacity(VARIANT, spread(*CONVERSATION), classes))
    cached = capacity_per_s(estimate_capacity(VARIANT, spread(*CONVERSATION, 0.6), classes))
    assert cached > 1.3 * plain


def test_a_histogram_of_lognormal_lengths_is_worth_its_moments() -> None:
    generator = np.random.default_rng(5)
    edges = tuple(float(step * 10**power) for power in range(5) for step in (1, 2, 5))

    def measure(mean_tokens: float, cv: float) -> LengthDistribution:
        sigma2 = math.log(1.0 + cv * cv)
        lengths = generator.lognormal(math.log(mean_tokens) - sigma2 / 2.0, math.sqrt(sigma2), 200_000)
        shares = tuple(float(np.mean(lengths <= edge)) for edge in edges)
        return LengthDistribution(float(lengths.mean()), float((lengths**2).mean()), edges, shares)

    measured = Workload(1.0, measure(1155.0, 0.96), measure(211.0, 0.77))
    classes = promise(itl=0.06, ttft=2.0)
    by_histogram = capacity_per_s(estimate_capacity(VARIANT, measured, classes))
    assert by_histogram == pytest.approx(
        capacity_per_s(estimate_capacity(VARIANT, spread(*CONVERSATION), classes)), 0.08
    )


def test_relaxing_any_target_never_costs_capacity() -> None:
    generator = np.random.default_rng(11)
    for _ in range(60):
        input_tokens, output_tokens = generator.uniform(100, 6000), generator.uniform(2, 900)
        workload = spread(input_tokens, generator.uniform(0, 1.2), output_tokens, generator.uniform(0, 1.2))
        targets_s = {
            "ttft": generator.uniform(0.3, 5.0),
            "itl": generator.uniform(0.03, 0.15),
            "ttlt": generator.uniform(5.0, 100.0),
        }
        percentile = float(generator.choice([50.0, 90.0, 95.0, 99.0]))
        tight = capacity_per_s(estimate_capacity(VARIANT, workload, promise(percentile, **targets_s)))
        for name, target_s in targets_s.items():
            relaxed = promise(percentile, **targets_s | {name: target_s * generator.uniform(1.0, 2.0)})
            assert capacity_per_s(estimate_capacity(VARIANT, workload, relaxed)) >= tight
        weaker = promise(percentile - 5.0, **targets_s)
        assert capacity_per_s(estimate_capacity(VARIANT, workload, weaker)) >= tight


def test_longer_requests_never_gain_capacity() -> None:
    generator = np.random.default_rng(13)
    for _ in range(60):
        lengths = (
            generator.uniform(100, 5000),
            generator.uniform(0, 1),
            generator.uniform(4, 800),
            generator.uniform(0, 1),
        )
        classes = promise(95.0, ttft=generator.uniform(0.5, 5.0), itl=generator.uniform(0.035, 0.15))
        short = capacity_per_s(estimate_capacity(VARIANT, spread(*lengths), classes))
        factor = generator.uniform(1.02, 1.6)
        longer_input = spread(lengths[0] * factor, *lengths[1:])
        assert capacity_per_s(estimate_capacity(VARIANT, longer_input, classes)) <= short * 1.001 + 1e-9


def test_longer_answers_never_gain_capacity_where_the_whole_answer_is_promised() -> None:
    generator = np.random.default_rng(17)
    for _ in range(60):
        lengths = (
            generator.uniform(100, 5000),
            generator.uniform(0, 1),
            generator.uniform(4, 800),
            generator.uniform(0, 1),
        )
        classes = promise(95.0, ttlt=generator.uniform(10.0, 100.0))
        short = capacity_per_s(estimate_capacity(VARIANT, spread(*lengths), classes))
        longer = spread(lengths[0], lengths[1], lengths[2] * generator.uniform(1.02, 1.6), lengths[3])
        assert capacity_per_s(estimate_capacity(VARIANT, longer, classes)) <= short * 1.001 + 1e-9


def test_a_mix_that_is_no_mix_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"lengths\.mean_tokens must be > 0"):
        estimate_capacity(VARIANT, alike(0.0, 10.0), promise(itl=0.1))
    with pytest.raises(InvalidInput, match=r"workload\.cached_ratio must be in \[0, 1\]"):
        estimate_capacity(VARIANT, alike(10.0, 10.0, cached_ratio=1.5), promise(itl=0.1))
