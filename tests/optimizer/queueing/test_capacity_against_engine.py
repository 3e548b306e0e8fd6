"""The estimated capacity, against the token-level engine under the same law: the error of queueing alone."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from optimizer.domain import LatencyQuantity, PerformanceProfile, ServiceClass, Slo, Variant, WorkloadRef
from optimizer.queueing import estimate_capacity
from tests.builders.engine_runs import Seen, run_engine
from tests.builders.profiles import A100_70B, CONVERSATION, H100_8B, L40S_8B, RTX6000_70B, SetUp, read_fits, spread

PLANNED_RATIO = 0.9 * 0.85  # utilization ceiling, derate
OVERHEAD_S = 0.02
MIXES = [CONVERSATION, (2048.0, 0.8, 28.0, 0.8), (500.0, 0.8, 1500.0, 0.8), (6000.0, 0.8, 343.0, 0.8)]

CELLS = list(itertools.product((A100_70B, L40S_8B, H100_8B), MIXES))


def make_variant(data_dir: Path, set_up: SetUp) -> Variant:
    fit = read_fits(data_dir)[set_up]
    profile = PerformanceProfile(law=fit.law, kv_capacity_tokens=fit.kv_tokens, derate_ratio=1.0, overhead_s=OVERHEAD_S)
    return Variant("default", "llm", "v", WorkloadRef("default", "v"), set_up.system, performance=profile)


def promise(percentile: float, ttft_s: float, itl_s: float) -> ServiceClass:
    slos = Slo(LatencyQuantity.TTFT, ttft_s, percentile), Slo(LatencyQuantity.ITL, itl_s, percentile)
    return ServiceClass("chat", slos)


def attain(seen: Seen, ttft_s: float, itl_s: float) -> tuple[float, float, float]:
    """Return the shares that met TTFT, ITL and both."""
    ttft, itl = seen.ttft_s <= ttft_s - OVERHEAD_S, seen.itl_s <= itl_s
    return float(np.mean(ttft)), float(np.mean(itl)), float(np.mean(ttft & itl))


def offer(
    variant: Variant, mix: tuple[float, float, float, float], rate_per_s: float, requests: int, seed: int = 3
) -> Seen:
    assert variant.performance is not None
    return run_engine(variant.performance, spread(*mix), rate_per_s, requests=requests, seed=seed)


def attain_on_average(
    variant: Variant, mix: tuple[float, float, float, float], rate_per_s: float, targets_s: tuple[float, float]
) -> tuple[float, float, float]:
    """Return the shares over three independent runs: one alone is off by a point where the curve is steep."""
    runs = [attain(offer(variant, mix, rate_per_s, 4000, seed), *targets_s) for seed in (1, 2, 3)]
    ttft, itl, both = np.mean(runs, axis=0)
    return float(ttft), float(itl), float(both)


DEMO = [(A100_70B, 0.05), (A100_70B, 0.06), (RTX6000_70B, 0.06), (L40S_8B, 0.03), (H100_8B, 0.025)]


@pytest.mark.slow
@pytest.mark.parametrize("set_up, itl_s", DEMO)
def test_planned_for_99_percent_a_conversation_gets_99_percent_of_both(
    data_dir: Path, set_up: SetUp, itl_s: float
) -> None:
    """Observed joint attainment at 0.9 x 0.85 of the P99 capacity: 99.1 to 99.9 %."""
    variant = make_variant(data_dir, set_up)
    capacity = estimate_capacity(variant, spread(*CONVERSATION), (promise(99.0, 2.0, itl_s),)).capacity_per_s.value
    assert capacity
    seen = offer(variant, CONVERSATION, PLANNED_RATIO * capacity, 6000)
    assert attain(seen, 2.0, itl_s)[2] >= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("set_up, mix", CELLS)
def test_the_estimate_is_at_most_5_percent_above_what_the_engine_carries_and_not_far_below(
    data_dir: Path, set_up: SetUp, mix: tuple[float, float, float, float]
) -> None:
    """The promise is met at 0.95 of the estimate, before any derate, and broken well beyond it.

    Observed shares at 0.95 of it: 95.1 to 99.9 %. The lowest, 95.1 and 95.4 %, are those of the 6000-token prompts on
    L40S and H100; another single run of theirs (seed 3, 5000 requests) gave 94.3 and 94.4 %: there the estimate sits
    right at what the engine carries, and the derate is the margin.
    """
    variant = make_variant(data_dir, set_up)
    lone_s = read_fits(data_dir)[set_up].law.fixed_s
    ttft_s, itl_s = 8.0, 2.5 * lone_s
    estimate = estimate_capacity(variant, spread(*mix), (promise(95.0, ttft_s, itl_s),))
    assert estimate.capacity_per_s.value
    within = attain_on_average(variant, mix, 0.95 * estimate.capacity_per_s.value, (ttft_s, itl_s))
    beyond = attain_on_average(variant, mix, estimate.capacity_per_s.value / 0.7, (ttft_s, itl_s))
    assert min(within[:2]) >= 0.95
    assert min(beyond[:2]) < 0.95


@pytest.mark.slow
@pytest.mark.parametrize("set_up, mix", CELLS)
def test_within_what_fits_the_engine_does_not_collapse(
    data_dir: Path, set_up: SetUp, mix: tuple[float, float, float, float]
) -> None:
    """Without promises, at the planned share of what fits: hardly a request is computed twice."""
    variant = make_variant(data_dir, set_up)
    capacity = estimate_capacity(variant, spread(*mix), ()).capacity_per_s.value
    assert capacity
    assert offer(variant, mix, PLANNED_RATIO / 0.85 * capacity, 4000).preemptions <= 40
