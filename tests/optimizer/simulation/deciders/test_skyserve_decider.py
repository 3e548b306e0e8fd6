from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from optimizer.domain import FleetSnapshot, ModelSnapshot, PodPhase, PodState, VariantState
from optimizer.errors import InvalidInput
from optimizer.simulation.cluster import simulate
from optimizer.simulation.decider import Decider, ScraperView
from optimizer.simulation.deciders.skyserve import (
    ArrivalLog,
    SkyServeDecider,
    SkyServeShipped,
    make_skyserve,
    make_skyserve_rate,
)
from tests.builders import simulated_clusters
from tests.builders.snapshots import MODEL, make_gateway, make_key, make_pod, make_window
from tests.builders.story import make_model, make_settings, make_variant

A100 = replace(make_variant("a", cost_per_hour=4.0, maximum=10), accelerator="A100")
V100 = replace(make_variant("v", cost_per_hour=3.0, maximum=10), accelerator="V100")
MODELS = (make_model(A100, V100),)
RATES = {A100.key(): 10.0, V100.key(): 5.0}
AT_ONCE = SkyServeShipped(upscale_delay_s=0.0, downscale_delay_s=0.0)


def look(
    now_s: float, rate_per_s: float, ready: Mapping[str, int], phases: Mapping[str, Sequence[PodPhase]] | None = None
) -> ScraperView:
    """Return what is seen of pods that serve and others, when a minute of arrivals at this rate lies behind."""
    states = []
    for name in ("a", "v"):
        pods: list[PodState] = [make_pod(f"{name}{place}") for place in range(ready.get(name, 0))]
        others = (phases or {}).get(name, ())
        pods += [replace(make_pod(f"{name}+{place}", phase), created_s=1.0) for place, phase in enumerate(others)]
        living = [pod for pod in pods if pod.phase is not PodPhase.TERMINATING]
        states.append(VariantState(make_key(name), len(living), tuple(pods)))
    gateway = make_gateway(60.0 * rate_per_s, now_s - 60.0, now_s)
    snapshot = FleetSnapshot(now_s, (ModelSnapshot(MODEL, tuple(states), (), gateway),))
    return ScraperView(now_s, snapshot, {state.key: state.requested_replicas or 0 for state in states})


def step(decider: SkyServeDecider, view: ScraperView) -> dict[str, int]:
    return {key.variant: count for key, count in decider.step(view).items()}


def test_it_comes_with_what_the_peer_ships() -> None:
    decider: Decider = make_skyserve(MODELS, RATES)
    assert decider.period_s == 20.0
    assert decider.signals == {}
    assert SkyServeShipped() == SkyServeShipped(300.0, 1200.0, 0, 1)


def test_what_the_peer_refuses_is_refused_and_names_are_made_to_please_it() -> None:
    named = (replace(A100, accelerator="a100-80GB"), replace(V100, accelerator="L40s"))
    decider = make_skyserve((make_model(*named),), RATES, shipped=AT_ONCE)
    assert step(decider, look(20.0, 35.0, {"a": 1})) == {"a": 1, "v": 3}
    with pytest.raises(InvalidInput, match="rates >= 0"):
        make_skyserve(MODELS, {**RATES, A100.key(): -1.0})
    with pytest.raises(InvalidInput, match="rates >= 0"):
        make_skyserve_rate(MODELS, {**RATES, A100.key(): -1.0})


def test_what_is_missing_is_sized_as_the_best_type_and_launched_as_the_cheapest() -> None:
    assert step(make_skyserve(MODELS, RATES, shipped=AT_ONCE), look(20.0, 35.0, {"a": 1})) == {"a": 1, "v": 3}


def test_a_type_without_free_quota_is_passed_over() -> None:
    decider = make_skyserve(MODELS, RATES, quota={"V100": 1}, shipped=AT_ONCE)
    assert step(decider, look(20.0, 35.0, {"a": 1})) == {"a": 3, "v": 1}
    full = make_skyserve(MODELS, RATES, quota={"V100": 0, "A100": 1}, shipped=AT_ONCE)
    assert step(full, look(20.0, 35.0, {"a": 1})) == {"a": 1, "v": 0}


def test_the_smallest_rate_goes_first_and_the_plain_rule_asks_for_the_stage() -> None:
    starting = {"a": [PodPhase.STARTING]}
    view = look(20.0, 6.0, {"a": 1, "v": 1}, starting)
    assert step(make_skyserve(MODELS, RATES, shipped=AT_ONCE), view) == {"a": 1, "v": 0}
    plain = make_skyserve_rate(MODELS, RATES, shipped=AT_ONCE)
    assert step(plain, look(20.0, 6.0, {"a": 1, "v": 1}, starting)) == {"a": 1, "v": 1}


def test_replicas_that_go_away_inflate_the_base() -> None:
    phases = {"a": [PodPhase.TERMINATING] * 3}
    assert step(make_skyserve(MODELS, RATES, shipped=AT_ONCE), look(20.0, 35.0, {"a": 2}, phases)) == {"a": 2, "v": 5}


def test_a_wish_must_last_fifteen_ticks_and_the_last_one_decides() -> None:
    decider = make_skyserve(MODELS, RATES)
    seen = [sum(step(decider, look(60.0 * tick, 35.0, {"a": 1})).values()) for tick in range(1, 15)]
    assert seen == [1] * 14
    assert sum(step(decider, look(900.0, 95.0, {"a": 1})).values()) == 10


def test_one_equal_tick_begins_the_wait_anew() -> None:
    decider = make_skyserve(MODELS, RATES)
    for tick in range(1, 15):
        step(decider, look(60.0 * tick, 35.0, {"a": 1}))
    step(decider, look(900.0, 10.0, {"a": 1}))
    assert sum(step(decider, look(960.0, 35.0, {"a": 1})).values()) == 1


def test_at_zero_it_looks_every_five_seconds_and_the_instance_aware_rule_never_wakes() -> None:
    models = (make_model(A100, V100),)
    shipped = SkyServeShipped(min_replicas=0)
    decider = make_skyserve(models, RATES, shipped=shipped)
    assert step(decider, look(20.0, 50.0, {})) == {"a": 0, "v": 0}
    assert decider.period_s == 5.0
    assert step(decider, look(25.0, 50.0, {})) == {"a": 0, "v": 0}
    plain = make_skyserve_rate(models, RATES, shipped=shipped)
    assert step(plain, look(20.0, 14.0, {})) == {"a": 0, "v": 3}
    assert plain.period_s == 20.0


def test_an_llm_is_only_asked_at_its_tick() -> None:
    other = make_model(replace(make_variant("o", model_id="other", maximum=3), accelerator="V100"))
    rates = {**RATES, other.variants[0].key(): 5.0}
    decider = make_skyserve((*MODELS, other), rates, shipped=SkyServeShipped(min_replicas=0))
    assert step(decider, look(20.0, 5.0, {"a": 1})) == {"a": 1, "v": 0}
    assert step(decider, look(25.0, 5.0, {"a": 1})) == {}


def test_the_first_minute_is_divided_by_a_whole_one() -> None:
    log = ArrivalLog()
    log.take(ModelSnapshot(MODEL, (), (), make_gateway(100.0, 0.0, 10.0)), 10.0)
    assert log.compute_rate_per_s(10.0) == pytest.approx(100 / 60)


def test_arrivals_of_pods_are_added_up_once_and_forgotten_after_a_minute() -> None:
    log = ArrivalLog()
    windows = (make_window("x", 30.0, 0.0, 20.0), make_window("y", 60.0, 0.0, 20.0), make_window("z", None, 0.0, 20.0))
    for _ in range(2):
        log.take(ModelSnapshot(MODEL, (), windows), 20.0)
    assert log.compute_rate_per_s(20.0) == pytest.approx(1.5)
    assert log.compute_rate_per_s(70.0) == pytest.approx(0.75)
    log.take(ModelSnapshot(MODEL, (), ()), 81.0)
    assert log.compute_rate_per_s(81.0) == 0.0


def test_more_is_kept_on_top() -> None:
    decider = make_skyserve_rate(MODELS, RATES, shipped=replace(AT_ONCE, overprovision_replicas=2))
    assert sum(step(decider, look(20.0, 14.0, {"a": 1})).values()) == 5


@pytest.mark.parametrize("make", [make_skyserve, make_skyserve_rate])
def test_more_arrivals_never_give_fewer_replicas_and_bounds_hold(make: object) -> None:
    chosen = make_skyserve if make is make_skyserve else make_skyserve_rate
    counts = [
        sum(step(chosen(MODELS, RATES, shipped=AT_ONCE), look(20.0, 2.0 * rate, {"a": 2, "v": 2})).values())
        for rate in range(150)
    ]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (1, 20)


def test_prices_may_be_those_of_accelerators() -> None:
    bare = tuple(replace(entry, cost_per_hour=None, accelerator="A") for entry in (A100, V100))
    decider = make_skyserve((make_model(*bare),), RATES, make_settings().accelerators, shipped=AT_ONCE)
    assert step(decider, look(20.0, 35.0, {"a": 1})) == {"a": 4, "v": 0}


@pytest.mark.parametrize("make", [make_skyserve, make_skyserve_rate])
@pytest.mark.parametrize("has_gateway", [True, False])
def test_it_follows_a_rise_in_a_simulated_cluster(make: object, has_gateway: bool) -> None:
    chosen = make_skyserve if make is make_skyserve else make_skyserve_rate
    requests = simulated_clusters.make_changing_requests([(2.0, 300.0), (12.0, 900.0)], seed=4)
    scenario = simulated_clusters.make_scenario(requests, 1200.0, has_gateway=has_gateway)
    decider = chosen(scenario.models, {simulated_clusters.KEY: 4.0}, scenario.accelerators)
    steps = simulate(scenario, decider).list_replica_steps(simulated_clusters.KEY)
    assert steps[0][1] == 1
    assert steps[-1][1] in (3, 4)
    assert 580.0 <= steps[1][0] <= 680.0
