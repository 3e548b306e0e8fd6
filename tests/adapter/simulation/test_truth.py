"""Engines unlike what scalers are told, and knobs of the cluster: what a run shows of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from adapter.simulation.figures import compute_figures
from adapter.simulation.run_options import HpaKnobs, RunOptions, TruthOptions
from adapter.simulation.running import Outcome, Stage, prepare_stage, run_policy
from adapter.simulation.truth import NoisyTruth, find_least_works, slow_down
from optimizer.domain import IterationLaw, IterationTable, LatencyQuantity, Role, ServiceClass, Slo
from optimizer.simulation import make_step_time
from optimizer.simulation.bounds import compute_run_ladder
from optimizer.simulation.cluster import ClusterOptions, KvTransfer, Plant, StartOptions, simulate
from optimizer.simulation.deciders import HpaMetric
from tests.builders.simulated_clusters import (
    LAW,
    LIMITS,
    make_requests,
    make_scenario,
    make_static,
    make_variant,
)
from tests.builders.simulated_fleets import make_fleet, make_trace

TTFT, ITL = LatencyQuantity.TTFT, LatencyQuantity.ITL
ONE_BY_ONE = [10.0 * number for number in range(30)]
TABLE = IterationTable((1.0, 8.0), (100.0, 1000.0), ((0.01, 0.02), (0.02, 0.04)), (100.0, 1000.0), (0.05, 0.4))


def play(policy: str = "static_peak", **options: object) -> tuple[Stage, Outcome]:
    stage = prepare_stage(make_trace(ONE_BY_ONE, 300.0), make_fleet(), RunOptions(**options))  # type: ignore[arg-type]
    return stage, run_policy(policy, stage)


def get_medians(policy: str = "static_peak", **options: object) -> tuple[float, float]:
    stage, outcome = play(policy, has_bounds=False, **options)
    found = compute_figures(outcome, stage.briefing.peaks).p50_s
    return found[TTFT], found[ITL]


def test_engines_may_be_slower_than_scalers_are_told() -> None:
    told = get_medians()
    slower = get_medians(truth=TruthOptions(slowdown_ratio=1.5))
    assert slower == pytest.approx([1.5 * one for one in told], rel=0.02)
    stage, outcome = play(truth=TruthOptions(slowdown_ratio=1.5))
    assert outcome.is_possible
    profile = stage.briefing.settings.models[0].variants[0].performance
    assert profile is not None
    assert profile.law == LAW


@pytest.mark.parametrize("performance", [LAW, TABLE])
def test_a_slower_engine_takes_longer_for_every_iteration(performance: IterationTable) -> None:
    slower = make_step_time(slow_down(performance, 1.3))
    expected = make_step_time(performance, 1.3)
    for batch, context, prompt in ((1, 100, 0), (8, 4000, 0), (4, 2000, 500)):
        first = slower.plan_steps(batch, context, prompt, 0).first_ticks
        assert first == pytest.approx(expected.plan_steps(batch, context, prompt, 0).first_ticks, rel=1e-6)
    assert slow_down(performance, 1.0) is performance


def test_noise_keeps_the_mean_moves_the_rest_and_leaves_bounds_valid() -> None:
    plain, noisy = get_medians(), get_medians(truth=TruthOptions(noise_ratio=0.3))
    assert noisy != plain
    assert noisy[1] == pytest.approx(plain[1], rel=0.1)
    _, outcome = play(truth=TruthOptions(noise_ratio=0.3))
    assert outcome.ladder is not None
    assert outcome.is_possible


@pytest.mark.parametrize("noise_ratio", [0.05, 0.3, 0.9])
def test_no_draw_of_noise_is_faster_than_bounds_take_for_granted(noise_ratio: float) -> None:
    truth = NoisyTruth(LAW, noise_ratio)
    noisy, plain = truth(0, np.random.default_rng(1)), make_step_time(LAW)
    base = plain.plan_steps(1, 1000, 0, 0).first_ticks
    ratios = [noisy.plan_steps(1, 1000, 0, number).first_ticks / base for number in range(0, 200_000, 64)]
    assert min(ratios) >= truth.fastest_ratio * (1.0 - 1e-6)
    assert min(ratios) < 1.0 < max(ratios)


@pytest.mark.parametrize(("noise_ratio", "pace_ratio"), [(0.3, 1.005), (0.3, 1.001), (0.9, 1.01), (0.05, 1.001)])
def test_who_promises_hardly_more_than_the_fixed_time_is_not_below_the_bound_for_lucky_draws(
    noise_ratio: float, pace_ratio: float
) -> None:
    law = IterationLaw(0.010, 2e-4, 1e-9, 1e-6)
    promise = ServiceClass("chat", (Slo(TTFT, 2.0), Slo(ITL, pace_ratio * law.fixed_s)))
    requests = make_requests(100.0, 60.0, input_tokens=10, output_tokens=5)
    scenario = make_scenario(requests, 60.0, plant=Plant(NoisyTruth(law, noise_ratio), LIMITS))
    scenario = replace(scenario, models=(replace(scenario.models[0], service_classes=(promise,)),))
    decider, options = make_static(1), ClusterOptions()
    result = simulate(scenario, decider, options, seed=1)
    ladder = compute_run_ladder(scenario, result, decider, options, works=find_least_works(scenario))
    assert ladder.violations == ()


def test_measured_bounds_stand_beside_the_proven_ones_and_are_no_lower() -> None:
    stage, outcome = play(has_measured_bounds=True)
    figures = compute_figures(outcome, stage.briefing.peaks)
    assert figures.bound is not None
    assert figures.measured_bound is not None
    assert figures.measured_bound >= figures.bound * (1.0 - 1e-9)
    plain = compute_figures(play()[1], stage.briefing.peaks)
    assert (plain.bound, plain.measured_bound) == (figures.bound, None)


def test_a_prefix_that_is_cached_makes_the_first_token_come_sooner() -> None:
    assert get_medians(truth=TruthOptions(cached_ratio=0.9))[0] < 0.6 * get_medians()[0]


def test_a_slow_wire_delays_the_first_token_by_what_the_cache_takes_to_travel() -> None:
    fleet = make_fleet(*(make_variant(role.value, role=role) for role in (Role.PREFILL, Role.DECODE)))
    found = []
    for bandwidth in (25e9, 1e8):
        options = RunOptions(kv_transfer=KvTransfer(bandwidth_bytes_per_s=bandwidth), has_bounds=False)
        stage = prepare_stage(make_trace(ONE_BY_ONE, 300.0), fleet, options)
        found.append(compute_figures(run_policy("static_peak", stage), {}).p50_s[TTFT])
    wire_s = 1000 * KvTransfer().bytes_per_token
    assert found[1] - found[0] == pytest.approx(wire_s / 1e8 - wire_s / 25e9, rel=1e-3)


def test_an_image_is_waited_for_once_on_a_node() -> None:
    trace = make_trace(sorted(np.random.default_rng(2).uniform(0.0, 240.0, 6000).tolist()), 240.0)
    longest = []
    for pull_s in (0.0, 60.0):
        options = RunOptions(start=StartOptions(image_pull_s=pull_s), has_bounds=False)
        stage = prepare_stage(trace, make_fleet(make_variant(startup_s=20.0)), options)
        (lives,) = (one.replicas for one in run_policy("knative", stage).result.variants.values())
        longest.append(max(lives.starting.value))
    assert longest[1] >= longest[0]


def test_knobs_of_hpas_reach_those_that_follow_and_those_that_decide() -> None:
    usual, knobs = HpaKnobs(), HpaKnobs(30.0, 5.0, 0.25, 120.0)
    follower = knobs.to_follower()
    assert (follower.sync_s, follower.metric_delay_s) == (30.0, 5.0)
    assert follower.spec.behavior is not None
    assert follower.spec.behavior.up.tolerance_ratio == follower.spec.behavior.down.tolerance_ratio == 0.25
    assert follower.spec.behavior.down.stabilization_window_s == 120.0
    shipped = knobs.to_shipped(HpaMetric.QUEUE)
    assert (shipped.sync_s, shipped.target, shipped.tolerance_ratio) == (30.0, 5.0, 0.25)
    assert shipped.behavior is not None
    assert shipped.behavior.down.stabilization_window_s == 120.0
    assert usual.to_shipped(HpaMetric.KV).target == 0.8
    assert usual.to_shipped(HpaMetric.QUEUE).behavior is None  # as shipped: left to the cluster
    assert get_medians("hpa_queue", hpa=usual) == get_medians("hpa_queue")
