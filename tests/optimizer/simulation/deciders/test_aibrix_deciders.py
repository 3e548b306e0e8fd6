from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from optimizer.domain import (
    FleetSnapshot,
    ModelSnapshot,
    PodPhase,
    PodState,
    Reason,
    ReasonCode,
    VariantState,
)
from optimizer.policy.aibrix import AibrixProfile, LengthShares, Strategy, Version
from optimizer.simulation.decider import Decider, ScraperView
from optimizer.simulation.deciders.aibrix import AibrixShipped, make_aibrix
from optimizer.simulation.deciders.aibrix_gateway import TracingGateway
from optimizer.simulation.deciders.aibrix_optimizer import make_aibrix_optimizer
from tests.builders.snapshots import MODEL, make_pod_key, make_window
from tests.builders.story import make_model, make_variant

POOL = make_variant("pool", maximum=20)
SMALL, LARGE = make_variant("small", cost_per_hour=1.0), make_variant("large", cost_per_hour=3.0)
KEY = POOL.key()
BLIND = Reason(ReasonCode.SCRAPE_FAILED, "no answer")


def make_pod(index: int, kv_ratio: float | None, running: float = 0.0, phase: PodPhase = PodPhase.READY) -> PodState:
    if kv_ratio is None:
        return PodState(make_pod_key(f"pool-{index}"), phase, reason=BLIND)
    return PodState(
        make_pod_key(f"pool-{index}"),
        phase,
        seen_s=0.0,
        running_requests=running,
        waiting_requests=0.0,
        kv_cache_ratio=kv_ratio,
    )


def look(now_s: float, pods: tuple[PodState, ...]) -> ScraperView:
    snapshot = ModelSnapshot(MODEL, (VariantState(KEY, len(pods), pods),))
    return ScraperView(now_s, FleetSnapshot(now_s, (snapshot,)), {KEY: len(pods)})


def test_it_comes_with_the_defaults_of_both_generations() -> None:
    decider: Decider = make_aibrix((make_model(POOL),))
    assert decider.period_s == 10.0
    assert decider.signals == {}
    shipped = AibrixShipped()
    windows = [
        (settings.stable_window_s, settings.panic_window_s, settings.scale_down_tolerance_ratio)
        for settings in (shipped.head, shipped.old_kpa, shipped.old_apa)
    ]
    assert windows == [(180.0, 60.0, 0.1), (60.0, 10.0, 0.1), (60.0, 10.0, 0.2)]


def test_apa_of_the_head_counts_a_starting_pod_as_idle() -> None:
    decider = make_aibrix((make_model(POOL),))
    ready = tuple(make_pod(index, 0.9) for index in range(2))
    assert decider.step(look(0.0, ready)) == {KEY: 4}
    again = make_aibrix((make_model(POOL),))
    starting = tuple(make_pod(index, None, phase=PodPhase.STARTING) for index in (2, 3))
    assert again.step(look(0.0, (*ready, *starting))) == {KEY: 4}  # mean 0.45: within the band of four


def test_in_flight_requests_are_scaled_by_where_a_target_is_given() -> None:
    pods = tuple(make_pod(index, 0.0, running=30.0) for index in range(2))
    for version, strategy, wanted in (
        (Version.HEAD, Strategy.APA, 3),
        (Version.HEAD, Strategy.KPA, 2),
        (Version.OLD, Strategy.APA, 3),
        (Version.OLD, Strategy.KPA, 3),
    ):
        decider = make_aibrix((make_model(POOL),), strategy, version, {KEY: 20.0})
        assert decider.step(look(0.0, pods)) == {KEY: wanted}, (version, strategy)


@pytest.mark.parametrize("version", list(Version))
@pytest.mark.parametrize("strategy", list(Strategy))
def test_blind_ticks_change_nothing(strategy: Strategy, version: Version) -> None:
    decider = make_aibrix((make_model(POOL),), strategy, version)
    pods = tuple(make_pod(index, None) for index in range(3))
    assert decider.step(look(0.0, pods)) == {KEY: 3}


def look_at_traffic(now_s: float, rate_per_s: float) -> ScraperView:
    model = make_model(SMALL, LARGE)
    states = tuple(
        VariantState(variant.key(), 1, (replace(make_pod(0, 0.1), pod=make_pod_key(variant.name)),))
        for variant in model.variants
    )
    windows = tuple(
        replace(make_window(variant.name, rate_per_s * 5.0, now_s - 10.0, now_s), completions=rate_per_s * 5.0)
        for variant in model.variants
    )
    requested = {variant.key(): 1 for variant in model.variants}
    return ScraperView(now_s, FleetSnapshot(now_s, (ModelSnapshot(MODEL, states, windows),)), requested)


def test_the_optimizer_buys_the_mix_of_its_profiles_ten_times_over_at_first() -> None:
    profiles = {
        variant.key(): AibrixProfile(variant.name, cost, ((10.0,),), (256.0,), (1024.0,))
        for variant, cost in ((SMALL, 1.0), (LARGE, 3.0))
    }
    decider = make_aibrix_optimizer((make_model(SMALL, LARGE),), profiles=profiles)
    assert decider.period_s == 10.0
    course = [decider.step(look_at_traffic(10.0 * loop, 10.0))[SMALL.key()] for loop in range(1, 13)]
    assert course[:2] == [10, 2]
    assert course[-1] == 2  # 110 hundredths
    assert decider.step(look_at_traffic(130.0, 10.0))[LARGE.key()] == 0


def test_the_optimizer_models_what_nobody_measured() -> None:
    decider = make_aibrix_optimizer((make_model(SMALL, LARGE),))
    for loop in range(1, 8):
        wanted = decider.step(look_at_traffic(10.0 * loop, 30.0))
    assert wanted[SMALL.key()] > 0
    assert wanted[LARGE.key()] == 0  # as fast at three times the price


def test_a_window_is_traced_once() -> None:
    one, two = (make_aibrix_optimizer((make_model(SMALL, LARGE),)) for _ in range(2))
    once = [one.step(look_at_traffic(10.0 * loop, 30.0)) for loop in range(1, 4)]
    twice = []
    for loop in range(1, 4):
        view = look_at_traffic(10.0 * loop, 30.0)
        twice.append(two.step(view))
        two.step(replace(view, now_s=view.now_s + 1.0))
    assert once == twice


def test_the_gateway_traces_whole_requests_whose_lengths_are_shared_as_pages_tell() -> None:
    shares = LengthShares({60: 0.25, 80: 0.5, 100: 0.25}, {40: 0.5, 70: 0.5})
    gateway, found = TracingGateway(), Counter[tuple[float, float]]()
    for _ in range(200):  # a stretch of three requests tells little, many of them tell all
        document = gateway.trace(shares, 3.0, 4.0)
        assert (document.completed_requests, document.arrived_requests) == (3, 4)
        assert all(record.requests == int(record.requests) for record in document.records)
        for record in document.records:
            found[record.log2_input_tokens, record.log2_output_tokens] += int(record.requests)
    expected = {
        (inputs / 10, outputs / 10): 600.0 * input_share * output_share
        for inputs, input_share in shares.inputs.items()
        for outputs, output_share in shares.outputs.items()
    }
    assert found == pytest.approx(expected, abs=6.0)
