from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from optimizer.domain import (
    Counter,
    DemandSource,
    DemandWindow,
    FleetSnapshot,
    Histogram,
    HistogramReading,
    ModelSnapshot,
    PodPhase,
    PodReading,
    PodState,
    Variant,
    VariantState,
)
from optimizer.policy.saturation import PercentageSettings, SaturationOptions, SaturationVersion, TokenSettings
from optimizer.simulation.decider import Decider, ScraperView
from optimizer.simulation.deciders.saturation import SaturationShipped, make_saturation
from tests.builders.snapshots import MODEL, make_pod_key
from tests.builders.story import make_model, make_variant

POOL = make_variant("pool", maximum=8)
SPARE = make_variant("spare", cost_per_hour=0.5, maximum=8)
KEY = POOL.key()


HELD = DemandWindow(0.0, 0.0, DemandSource.GATEWAY, waiting_requests=3.0)


def make_pod(name: str, now_s: float, load: tuple[float | None, float | None] | None) -> PodState:
    """Return a pod with KV cache in use and queue, or one that never told."""
    pod = PodState(make_pod_key(name), PodPhase.READY)
    if load is None:
        return pod
    return replace(pod, seen_s=now_s, kv_cache_ratio=load[0], waiting_requests=load[1], kv_capacity_tokens=100_000.0)


def look_at(
    now_s: float,
    loads: Mapping[Variant, Sequence[tuple[float | None, float | None] | None]],
    *,
    finished: float | None = None,
    gateway: DemandWindow | None = None,
    starting: int = 0,
) -> ScraperView:
    """Return pods of 100 000 KV tokens with these loads, whose requests have 1000 tokens in and 200 out."""
    states, readings = [], []
    for variant, pods in loads.items():
        told = [make_pod(f"{variant.name}-{index}", now_s, load) for index, load in enumerate(pods)]
        young = [PodState(make_pod_key(f"{variant.name}-s{index}"), PodPhase.STARTING) for index in range(starting)]
        states.append(VariantState(variant.key(), len(told) + len(young), (*told, *young)))
        ended = 100.0 + now_s if finished is None else finished
        lengths = {
            name: HistogramReading((1e6,), (ended,), ended, ended * mean_tokens)
            for name, mean_tokens in ((Histogram.INPUT_TOKENS, 1000.0), (Histogram.OUTPUT_TOKENS, 200.0))
        }
        counters = {Counter.FINISHED: ended}
        readings += [
            PodReading(pod.pod, MODEL.model_id, "vllm", now_s, counters=counters, histograms=lengths)
            for pod in told
            if pod.seen_s is not None
        ]
    snapshot = ModelSnapshot(MODEL, tuple(states), gateway=gateway)
    requested = {state.key: state.requested_replicas or 0 for state in states}
    return ScraperView(now_s, FleetSnapshot(now_s, (snapshot,)), requested, {MODEL: tuple(readings)})


def look(
    now_s: float, replicas: int, kv_ratio: float, waiting: float = 0.0, finished: float | None = None
) -> ScraperView:
    return look_at(now_s, {POOL: [(kv_ratio, waiting)] * replicas}, finished=finished)


def test_it_comes_with_what_the_peer_ships() -> None:
    decider: Decider = make_saturation((make_model(POOL),))
    assert decider.signals == {}
    shipped = SaturationShipped()
    assert (shipped.period_s, shipped.zero_poll_s, shipped.may_be_zero, shipped.retention_s) == (
        30.0,
        0.1,
        False,
        600.0,
    )
    assert shipped.options == SaturationOptions()
    assert SaturationOptions().percentage == PercentageSettings(0.80, 5.0, 0.1, 3.0)
    assert SaturationOptions().token == TokenSettings(0.80, 5.0, 0.85, 0.70)
    assert (SaturationOptions().peak_window_s, SaturationOptions().length_window_s) == (60.0, 300.0)


def test_pages_are_looked_at_between_cycles_and_numbers_published_by_cycles() -> None:
    decider = make_saturation((make_model(POOL),))
    assert decider.period_s == 15.0
    answers = [decider.step(look(now_s, 1, kv_ratio)) for now_s, kv_ratio in ((0, 0.5), (15, 0.95), (30, 0.5))]
    assert answers == [{KEY: 1}, {}, {KEY: 2}]  # 95 000 tokens over 0.85, less 80 000: the peak between counts


def test_v1_climbs_one_at_a_time_and_v2_at_once_up_to_the_maximum() -> None:
    climbs = []
    for version in SaturationVersion:
        decider = make_saturation((make_model(POOL),), version=version)
        replicas, climb = 2, []
        for cycle in range(3):
            replicas = decider.step(look(30.0 * cycle, replicas, 0.9, 30.0))[KEY]
            climb.append(replicas)
        climbs.append(climb)
    assert climbs[0] == [3, 4, 5]
    assert climbs[1][0] > 3
    assert climbs[1][-1] == 8


def test_without_any_report_nothing_is_published() -> None:
    decider = make_saturation((make_model(POOL),))
    assert decider.step(look_at(0.0, {POOL: [None] * 3})) == {}


def test_v2_counts_the_supply_of_pods_that_are_silent_and_the_demand_of_those_that_tell() -> None:
    pools = {POOL: [(0.6, 0.0), None, None]}
    assert make_saturation((make_model(POOL),)).step(look_at(0.0, pools)) == {KEY: 2}  # 240 000 less 60 000 over 0.7
    told = {POOL: [(0.6, 0.0)] * 3}
    assert make_saturation((make_model(POOL),)).step(look_at(0.0, told)) == {KEY: 3}


@pytest.mark.parametrize("version", list(SaturationVersion))
def test_a_reading_without_a_cache_is_that_of_an_idle_pod(version: SaturationVersion) -> None:
    blank = {POOL: [(0.3, 0.0), (None, 0.0)]}
    asked = make_saturation((make_model(POOL),), version=version).step(look_at(0.0, blank))
    assert asked == make_saturation((make_model(POOL),), version=version).step(
        look_at(0.0, {POOL: [(0.3, 0.0), (0.0, 0.0)]})
    )


def test_v1_waits_for_pods_that_do_not_report() -> None:
    decider = make_saturation((make_model(POOL),), version=SaturationVersion.V1)
    assert decider.step(look_at(0.0, {POOL: [(0.9, 9.0)] * 2}, starting=1)) == {KEY: 3}
    assert decider.step(look_at(30.0, {POOL: [(0.9, 9.0)] * 3})) == {KEY: 4}


def test_no_analyzer_grows_a_parked_variant() -> None:
    decider = make_saturation((make_model(POOL, SPARE),))
    asked = decider.step(look_at(0.0, {POOL: [(0.99, 50.0)], SPARE: []}))
    assert asked[KEY] > 1
    assert SPARE.key() not in asked


def test_requests_at_the_gateway_wake_every_parked_variant_at_once() -> None:
    decider = make_saturation((make_model(POOL, SPARE),))
    assert decider.step(look_at(0.0, {POOL: [], SPARE: []}, gateway=replace(HELD, waiting_requests=0.0))) == {}
    assert decider.period_s == 0.1
    assert decider.step(look_at(0.1, {POOL: [], SPARE: []}, gateway=HELD)) == {KEY: 1, SPARE.key(): 1}
    assert decider.patched == {KEY, SPARE.key()}
    decider.step(look_at(60.0, {POOL: [(0.1, 0.0)], SPARE: [(0.1, 0.0)]}, gateway=HELD))
    assert decider.patched == frozenset()
    assert decider.period_s == 15.0


def test_the_limiter_of_v1_knows_the_devices_that_are_free() -> None:
    hot = {POOL: [(0.9, 9.0)] * 2}
    for quota, wanted in ((None, 3), ({"A": 2}, 2), ({"A": 3}, 3), ({"B": 0}, 3)):
        decider = make_saturation((make_model(POOL),), version=SaturationVersion.V1, quota=quota)
        assert decider.step(look_at(0.0, hot)) == {KEY: wanted}
    unlimited = make_saturation((make_model(POOL),), quota={"A": 2})
    assert unlimited.step(look_at(0.0, hot))[KEY] > 2  # V2 has none


@pytest.mark.parametrize("may_be_zero", [False, True])
def test_it_goes_to_zero_once_nothing_was_served_for_the_retention_period_where_it_may(may_be_zero: bool) -> None:
    shipped = SaturationShipped(may_be_zero=may_be_zero, retention_s=60.0)
    decider = make_saturation((make_model(POOL),), shipped=shipped)
    served = ((0.0, 100.0), (30.0, 101.0), (60.0, 101.0), (90.0, 101.0))
    asked = [decider.step(look(now_s, 1, 0.0, finished=finished))[KEY] for now_s, finished in served]
    assert asked == [1, 1, 1, 0 if may_be_zero else 1]


def test_equal_views_give_equal_answers() -> None:
    views = [look(30.0 * cycle, 2 + cycle % 3, 0.3 * (cycle % 4), 4.0 * (cycle % 2)) for cycle in range(12)]
    runs = []
    for _ in range(2):
        decider = make_saturation((make_model(POOL),))
        runs.append([decider.step(view) for view in views])
    assert runs[0] == runs[1]


def test_its_autoscaler_is_that_of_the_samples() -> None:
    decider = make_saturation((make_model(POOL),))
    assert decider.follower.min_replicas == 1
    assert decider.follower.tolerance_ratio == 0.1
    assert decider.follower.behavior is not None
    for rules in (decider.follower.behavior.up, decider.follower.behavior.down):
        assert [(policy.type, policy.value, policy.period_s) for policy in rules.policies] == [("Pods", 10, 15.0)]
        assert (rules.stabilization_window_s, rules.tolerance_ratio) == (0.0, None)
    assert make_saturation((make_model(POOL),), shipped=SaturationShipped(may_be_zero=True)).follower.min_replicas == 0


def test_bounds_are_those_of_scalers_which_keep_one_replica() -> None:
    idle = {POOL: [(0.0, 0.0)] * 3, SPARE: [(0.0, 0.0)] * 3}
    asked = make_saturation((make_model(POOL, SPARE),)).step(look_at(0.0, idle))
    assert asked == {KEY: 1, SPARE.key(): 1}
