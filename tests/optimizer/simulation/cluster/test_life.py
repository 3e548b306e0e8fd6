"""Replicas come and go: draining loses nothing in time, quotas hold, and every request ends once whatever happens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optimizer.domain import Counter, Histogram, Role
from optimizer.errors import InvalidInput
from optimizer.simulation import EngineLimits
from optimizer.simulation.cluster import (
    BucketGuide,
    ClusterOptions,
    Ending,
    KvTransfer,
    Plant,
    Requests,
    RouterKind,
    Scenario,
    SimulationResult,
    StartOptions,
    StartupTime,
    simulate,
)
from tests.builders.simulated_clusters import (
    KEY,
    LAW,
    LIMITS,
    PRICE_PER_HOUR,
    Scripted,
    make_requests,
    make_scenario,
    make_static,
    make_variant,
)


def list_steps(result: SimulationResult, life: str) -> list[tuple[float, int]]:
    series = getattr(result.variants[KEY].replicas, life)
    return [(time_ns / 1e9, value) for time_ns, value in zip(series.time_ns, series.value, strict=True)]


def check_ended_once(result: SimulationResult, scenario: Scenario) -> None:
    assert sum(result.endings.values()) == len(scenario.requests)
    assert result.endings[Ending.OPEN] == 0
    finished = np.isfinite(np.array(result.columns.ttlt_s))
    assert int(finished.sum()) == result.endings[Ending.FINISHED]
    assert (np.array(result.columns.ttft_s)[finished] <= np.array(result.columns.ttlt_s)[finished]).all()
    check_bill_and_quota(result, scenario)


def check_bill_and_quota(result: SimulationResult, scenario: Scenario) -> None:
    end_ns = round(scenario.horizon_s * 1e9)
    used = {}
    for key, figures in result.variants.items():
        with_devices = [getattr(figures.replicas, life) for life in ("starting", "ready", "draining")]
        assert figures.billed_ns == sum(series.integrate(end_ns) for series in with_devices)
        used[key] = with_devices
    for accelerator, devices in scenario.quota.items():
        sharing = [
            (one, scenario.variants[key].accelerators_per_replica)
            for key, found in used.items()
            if scenario.variants[key].accelerator == accelerator
            for one in found
        ]
        for time_ns in {time_ns for series, _ in sharing for time_ns in series.time_ns}:
            assert sum(series.get(time_ns) * per_replica for series, per_replica in sharing) <= devices


# --- draining ---------------------------------------------------------------------------------------------------------
def test_draining_loses_nothing_within_the_grace() -> None:
    script = Scripted([(0.0, {KEY: 4}), (100.0, {KEY: 1}), (150.0, {KEY: 4}), (300.0, {KEY: 2})])
    scenario = make_scenario(make_requests(4.0, 400.0), 400.0, initial=4)
    result = simulate(scenario, script)
    assert result.endings[Ending.FINISHED] == len(scenario.requests)
    assert max(value for _, value in list_steps(result, "draining")) == 3
    check_ended_once(result, scenario)


def test_what_the_grace_cuts_off_is_dropped_and_nothing_else() -> None:
    requests = Requests.from_columns([5.0, 5.0, 5.0, 5.0], 1000, [100, 100, 4000, 4000])  # 4000 tokens take a minute
    script = Scripted([(0.0, {KEY: 2}), (16.0, {KEY: 1})])
    result = simulate(make_scenario(requests, 200.0, initial=2), script, ClusterOptions(grace_s=20.0))
    assert result.endings[Ending.DROPPED] == 1  # of the two long ones, the one on the replica that ends
    assert result.endings[Ending.FINISHED] == 3
    assert list_steps(result, "draining") == [(0.0, 0), (16.0, 1), (36.0, 0)]
    assert result.cost == pytest.approx((200 + 36) / 3600 * PRICE_PER_HOUR, abs=1e-12)


def test_a_drained_replica_is_gone_with_its_last_request() -> None:
    requests = Requests.from_columns([15.0, 15.0], 1000, 500)
    script = Scripted([(0.0, {KEY: 2}), (16.0, {KEY: 1})])
    result = simulate(make_scenario(requests, 200.0, initial=2), script)
    gone_s = list_steps(result, "draining")[-1][0]
    assert gone_s == pytest.approx(15.0 + result.columns.ttlt_s[1], abs=1e-6)


def test_those_that_do_not_serve_yet_go_first_and_the_youngest_before_the_older() -> None:
    script = Scripted([(0.0, {KEY: 3}), (16.0, {KEY: 1}), (31.0, {KEY: 0})])
    result = simulate(make_scenario(make_requests(0.01, 200.0), 200.0, initial=1), script)
    assert list_steps(result, "starting") == [(0.0, 0), (1.0, 2), (16.0, 0)]
    assert list_steps(result, "ready") == [(0.0, 1), (31.0, 0)]


# --- quota ------------------------------------------------------------------------------------------------------------
def test_quota_is_kept_always_and_freed_devices_go_to_those_who_wait_longest() -> None:
    a, b = make_variant("a"), make_variant("b")
    script = Scripted(
        [(0.0, {a.key(): 4, b.key(): 3}), (200.0, {a.key(): 1, b.key(): 3}), (400.0, {a.key(): 6, b.key(): 0})]
    )
    scenario = make_scenario(make_requests(1.0, 900.0), 900.0, initial=1, variants=(a, b), quota={"H100": 5})
    result = simulate(scenario, script)
    times = sorted({time for figures in result.variants.values() for time in figures.replicas.ready.time_ns})
    in_use = {
        sum(
            getattr(figures.replicas, life).get(time_ns)
            for figures in result.variants.values()
            for life in ("starting", "ready", "draining")
        )
        for time_ns in times
    }
    assert max(in_use) == 5
    assert result.variants[a.key()].replicas.pending.get(500 * 10**9) == 1
    assert result.variants[b.key()].replicas.pending.get(150 * 10**9) == 2
    assert result.variants[b.key()].replicas.ready.get(320 * 10**9) == 3  # placed when `a` shrank at 211 s
    check_ended_once(result, scenario)


def test_replicas_without_devices_cost_nothing() -> None:
    scenario = make_scenario(make_requests(0.1, 3600.0), 3600.0, initial=1, quota={"H100": 1})
    assert simulate(scenario, make_static(10)).cost == PRICE_PER_HOUR


# --- nobody ready -----------------------------------------------------------------------------------------------------
def test_without_gateway_a_request_fails_at_once_where_nobody_is_ready() -> None:
    requests = Requests.from_columns([10.0, 150.0], 100, 10)
    result = simulate(make_scenario(requests, 200.0, initial=0), make_static(1))
    assert result.endings[Ending.UNSERVED] == 1
    assert result.endings[Ending.FINISHED] == 1


def test_a_gateway_holds_requests_until_somebody_is_ready_or_patience_ends() -> None:
    requests = Requests.from_columns([10.0, 80.0], 100, 10)
    scenario = make_scenario(requests, 200.0, initial=0, has_gateway=True)
    result = simulate(scenario, make_static(1), ClusterOptions(hold_s=60.0))  # ready at 101 s
    assert result.endings[Ending.UNSERVED] == 1
    assert result.columns.ttft_s[1] == pytest.approx(101.0 - 80.0 + 0.010 + 100 * 2e-5, abs=1e-6)


# --- everything at once -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(6))
def test_every_request_ends_once_in_a_fleet_that_is_shaken(seed: int) -> None:
    chance = np.random.default_rng(seed)
    a = replace(make_variant("a"), accelerators_per_replica=1 + seed % 3)
    b = make_variant("b", accelerator="L40S", startup_s=30.0)
    script = Scripted(
        [
            (15.0 * step, {a.key(): int(chance.integers(0, 5)), b.key(): int(chance.integers(0, 5))})
            for step in range(60)
        ]
    )
    plant = Plant(
        LAW,
        EngineLimits(kv_capacity_tokens=16_000, max_running_requests=16, max_queued_requests=24),
        startup=StartupTime(30.0, 80.0),
    )
    options = ClusterOptions(
        start=StartOptions(image_pull_s=5.0, devices_per_node=2, failure_ratio=0.2),
        grace_s=8.0,
        hold_s=20.0,
        router=list(RouterKind)[seed % 3],
    )
    requests = make_requests(6.0, 900.0, input_tokens=900, output_tokens=400, seed=seed)
    scenario = make_scenario(
        requests, 900.0, variants=(a, b), plant=plant, quota={"H100": 5}, has_gateway=bool(seed % 2)
    )
    result = simulate(scenario, script, options, seed)
    check_ended_once(result, scenario)
    assert result.endings[Ending.DROPPED] > 0
    assert result.endings[Ending.UNSERVED] > 0


# --- prefill and decode apart -----------------------------------------------------------------------------------------
PREFILL, DECODE = make_variant("p", role=Role.PREFILL), make_variant("d", role=Role.DECODE)
PREFILL_KEY, DECODE_KEY = PREFILL.key(Role.PREFILL), DECODE.key(Role.DECODE)


def test_what_is_prefilled_must_be_decoded_somewhere() -> None:
    with pytest.raises(InvalidInput, match="role decode"):
        make_scenario(make_requests(1.0, 10.0), 10.0, variants=(PREFILL,))


def test_with_prefill_apart_the_first_token_comes_after_prefill_transfer_and_one_token() -> None:
    requests = Requests.from_columns([10.0], 1000, 100)
    scenario = make_scenario(requests, 60.0, variants=(PREFILL, DECODE))
    options = ClusterOptions(kv_transfer=KvTransfer(1e5, 1e9, 0.05))
    result = simulate(scenario, make_static({PREFILL_KEY: 1, DECODE_KEY: 1}), options)
    prefill_s, transfer_s, token_s = 0.010 + 1000 * 2e-5, 0.05 + 1000 * 1e5 / 1e9, 0.010 + 2e-5
    decode_s = sum(0.010 + 0.0002 + 1e-7 * (1000 + token) for token in range(1, 100))
    assert result.columns.ttft_s[0] == pytest.approx(prefill_s + transfer_s + token_s, abs=1e-7)
    assert result.columns.ttlt_s[0] == pytest.approx(prefill_s + transfer_s + token_s + decode_s, abs=1e-7)


def test_with_prefill_apart_every_request_ends_once_while_replicas_come_and_go() -> None:
    chance = np.random.default_rng(7)
    script = Scripted(
        [
            (15.0 * step, {PREFILL_KEY: int(chance.integers(0, 3)), DECODE_KEY: int(chance.integers(0, 4))})
            for step in range(40)
        ]
    )
    scenario = make_scenario(make_requests(3.0, 600.0), 600.0, initial=2, variants=(PREFILL, DECODE))
    result = simulate(scenario, script, ClusterOptions(grace_s=3.0, hold_s=10.0))
    check_ended_once(result, scenario)
    assert result.endings[Ending.FINISHED] > 100
    assert result.endings[Ending.UNSERVED] > 0


def test_prefill_replicas_and_decode_replicas_do_all_of_the_work_between_them() -> None:
    scenario = make_scenario(make_requests(3.0, 600.0), 600.0, initial=2, variants=(PREFILL, DECODE))
    decider = make_static({PREFILL_KEY: 2, DECODE_KEY: 2})
    decider.period_s, decider.keeps_views = 585.0, True
    result = simulate(scenario, decider)
    assert result.endings[Ending.FINISHED] == len(scenario.requests)
    readings = {reading.pod.name: reading for reading in decider.views[-1].readings[scenario.models[0].key]}
    assert {name.rpartition("-")[0] for name in readings} == {"llama-p", "llama-d"}


def test_a_decode_replica_short_of_blocks_computes_prompt_and_answer_anew() -> None:
    """What came over the wire went with the blocks: unlike what a prefix cache holds, nobody has it any more."""
    requests = Requests.from_columns([10.0, 10.0], 304, 40, cached_tokens=300)
    scenario = make_scenario(requests, 60.0, variants=(PREFILL, DECODE), plant=Plant(LAW, EngineLimits(16 * 41)))
    decider = make_static({PREFILL_KEY: 1, DECODE_KEY: 1})
    decider.period_s, decider.keeps_views = 15.0, True
    result = simulate(scenario, decider)
    assert result.endings[Ending.FINISHED] == 2
    pages = {one.pod.name: one for one in decider.views[-1].readings[scenario.models[0].key]}
    assert pages["llama-d-0"].counters[Counter.PREEMPTIONS] == 1
    roomy = Plant(LAW, LIMITS)
    undisturbed = simulate(
        make_scenario(requests, 60.0, variants=(PREFILL, DECODE), plant=roomy), make_static(decider.script[0][1])
    )
    late_s = max(result.columns.ttlt_s) - max(undisturbed.columns.ttlt_s)
    assert late_s > 0.9 * (304 + 16) * LAW.per_prompt_token_s


# --- who gets a request -----------------------------------------------------------------------------------------------
def test_a_guide_sends_each_bucket_to_its_variants_by_weight() -> None:
    a, b = make_variant("a"), make_variant("b")
    guide = BucketGuide((500,), {a.key(): (1.0, 0.25), b.key(): (0.0, 0.75)})
    requests = Requests.from_columns(np.arange(400) * 1.0, [100, 1000] * 200, 10)
    decider = make_static({a.key(): 1, b.key(): 1})
    decider.period_s, decider.keeps_views = 15.0, True
    options = ClusterOptions(router=RouterKind.GUIDED, guide=guide)
    simulate(make_scenario(requests, 500.0, variants=(a, b)), decider, options)
    (readings,) = decider.views[-1].readings.values()
    counts = {reading.pod.name: reading.histograms[Histogram.TTFT].count for reading in readings}
    assert counts == {"llama-a-0": 250, "llama-b-0": 150}
    with pytest.raises(InvalidInput, match="weights of a"):
        BucketGuide((500,), {a.key(): (1.0,)})


def test_instance_aware_routing_loads_replicas_in_proportion_to_what_they_carry() -> None:
    a, b = make_variant("a"), make_variant("b")
    scenario = make_scenario(make_requests(12.0, 600.0), 600.0, variants=(a, b))
    slow = Plant(LAW, LIMITS, initial_replicas=1, routing_rate_per_s=1.0)
    fast = Plant(LAW, LIMITS, initial_replicas=1, routing_rate_per_s=3.0)
    scenario = Scenario(
        scenario.models, scenario.accelerators, {a.key(): slow, b.key(): fast}, scenario.requests, scenario.horizon_s
    )
    decider = make_static({a.key(): 1, b.key(): 1})
    decider.period_s, decider.keeps_views = 15.0, True
    simulate(scenario, decider, ClusterOptions(router=RouterKind.INSTANCE_AWARE))
    loads = [
        [
            (state.pods[0].running_requests or 0.0) + (state.pods[0].waiting_requests or 0.0)
            for state in view.snapshot.models[0].variants
        ]
        for view in decider.views[2:]
    ]
    of_a, of_b = np.mean(np.array(loads), axis=0).tolist()
    assert of_b / of_a == pytest.approx(3.0, rel=0.15)


def make_unlike(requests: Requests, horizon_s: float = 100.0, *, has_gateway: bool = False, large: int = 1) -> Scenario:
    """Return variant `a` that holds 1,008 tokens a request, and `b` that holds 100 times as many."""
    a, b = make_variant("a"), make_variant("b")
    scenario = make_scenario(requests, horizon_s, variants=(a, b), has_gateway=has_gateway)
    small = Plant(LAW, EngineLimits(kv_capacity_tokens=1024), initial_replicas=1)
    return replace(scenario, plants={a.key(): small, b.key(): Plant(LAW, LIMITS, initial_replicas=large)})


@pytest.mark.parametrize("router", list(RouterKind))
def test_a_request_goes_only_where_it_fits(router: RouterKind) -> None:
    a, b = make_variant("a").key(), make_variant("b").key()
    guide = BucketGuide((), {a: (1.0,), b: (0.001,)})
    requests = Requests.from_columns(np.arange(60) * 1.0, [100, 2000, 900_000] * 20, 10)
    scenario = make_unlike(requests)
    result = simulate(scenario, make_static({a: 1, b: 1}), ClusterOptions(router=router, guide=guide))
    assert result.endings[Ending.TOO_LONG] == 20  # those that nobody can hold
    assert result.endings[Ending.FINISHED] == 40


@pytest.mark.parametrize(("has_gateway", "ending"), [(True, Ending.FINISHED), (False, Ending.UNSERVED)])
def test_a_request_that_fits_nowhere_yet_waits_for_who_can_hold_it(has_gateway: bool, ending: Ending) -> None:
    a, b = make_variant("a").key(), make_variant("b").key()
    scenario = make_unlike(Requests.from_columns([5.0], 2000, 10), 200.0, has_gateway=has_gateway, large=0)
    result = simulate(scenario, Scripted([(0.0, {a: 1}), (20.0, {a: 3}), (30.0, {b: 1})]))
    assert result.endings[ending] == 1
    if has_gateway:
        assert result.columns.ttft_s[0] > 100.0  # replicas of `a` that came in between do not help


def test_a_full_queue_is_not_the_last_one_tried() -> None:
    """Round robin; `a` has one place, `b` two: the third of three at once meets the full `a` and goes on to `b`."""
    limits = EngineLimits(kv_capacity_tokens=16_000, max_queued_requests=2)
    requests = Requests.from_columns([10.0] * 3, 100, [1000, 10, 10])
    a, b = make_variant("a"), make_variant("b")
    scenario = make_scenario(requests, 60.0, variants=(a, b), plant=Plant(LAW, limits))
    one = replace(scenario.plants[a.key()], limits=replace(limits, max_queued_requests=1))
    scenario = replace(scenario, plants={**scenario.plants, a.key(): one})
    both = make_static({a.key(): 1, b.key(): 1})
    endings = {
        attempts: simulate(scenario, both, ClusterOptions(router=RouterKind.ROUND_ROBIN, max_attempts=attempts)).endings
        for attempts in (1, 2)
    }
    assert endings[1][Ending.REJECTED] == 1  # the third meets the full `a`
    assert endings[2][Ending.FINISHED] == 3
