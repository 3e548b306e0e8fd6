from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from optimizer.domain import (
    FleetSnapshot,
    Histogram,
    HistogramReading,
    ModelSnapshot,
    PodPhase,
    Role,
    VariantKey,
)
from optimizer.errors import InvalidInput
from optimizer.policy.kthena.behavior import Behavior, PanicRule, RateLimit
from optimizer.policy.kthena.ratio import RatioRule
from optimizer.simulation.cluster import simulate
from optimizer.simulation.decider import Decider, ScraperView
from optimizer.simulation.deciders.kthena import KthenaDecider, KthenaShipped, make_kthena
from optimizer.simulation.deciders.kthena_reports import QuantileTarget
from tests.builders import simulated_clusters
from tests.builders.scraper_views import Told, make_scraper_view
from tests.builders.snapshots import MODEL
from tests.builders.story import make_model, make_variant

POOL = make_variant("pool", maximum=20)
KEY = POOL.key()
MODELS = (make_model(POOL),)
H100 = make_variant("h100", cost_per_hour=1.0, maximum=4)
A100 = make_variant("a100", cost_per_hour=0.6, minimum=1, maximum=8)
GROUP = (make_model(H100, A100),)
FREE = Behavior(RateLimit(0, 100, period_s=0.0), RateLimit(0, 100, period_s=0.0))


def step(
    decider: KthenaDecider, now_s: float, pods: Sequence[Told], requested: int | None = None, starting: int = 0
) -> int | None:
    return decider.step(make_scraper_view(now_s, pods, requested=requested, starting=starting)).get(KEY)


def look(now_s: float, pods: Mapping[str, Sequence[Told]], role: Role = Role.BOTH) -> ScraperView:
    """Return a view of several variants of one LLM."""
    views = [make_scraper_view(now_s, told, variant=name) for name, told in pods.items()]
    states = tuple(state for view in views for state in view.snapshot.models[0].variants)
    readings = tuple(reading for view in views for reading in view.readings[MODEL])
    requested = {key: count for view in views for key, count in view.requested.items()}
    snapshot = FleetSnapshot(now_s, (ModelSnapshot(MODEL, states),))
    return ScraperView(now_s, snapshot, requested, {MODEL: readings})


def count(answers: Mapping[VariantKey, int]) -> dict[str, int]:
    return {key.variant: replicas for key, replicas in answers.items()}


def test_it_comes_with_what_the_peer_ships() -> None:
    decider: Decider = make_kthena(MODELS)
    assert decider.period_s == 15.0
    assert decider.signals == {}
    shipped = KthenaShipped()
    assert (shipped.waiting_target_requests, shipped.tolerance_ratio, shipped.cost_expansion_percent) == (10, 0.1, 200)
    assert shipped.behavior == Behavior(RateLimit(4, 100), RateLimit(0, 100, stabilization_s=300.0), PanicRule())
    assert shipped.behavior.panic.hold_s == 0.0


def test_it_goes_by_waiting_requests_or_by_all_in_flight() -> None:
    assert step(make_kthena(MODELS), 15.0, [Told(running=90.0, waiting=15.0)] * 2) == 3
    assert step(make_kthena(MODELS, targets={KEY: 50.0}), 15.0, [Told(running=60.0, waiting=15.0)] * 2) == 3


def test_it_may_go_by_the_added_quantiles_of_a_histogram() -> None:
    shipped = KthenaShipped(quantile=QuantileTarget(Histogram.TTFT, 1.0), behavior=FREE)
    decider, answers = make_kthena(MODELS, shipped=shipped), []
    for now_s, count in ((15.0, 20.0), (30.0, 20.0), (90.0, 40.0)):
        reading = HistogramReading((1.0, 2.0), (20.0, 20.0), count, count)
        answers.append(step(decider, now_s, [Told(histograms={Histogram.TTFT: reading})] * 2))
    # 0.95 s each of the whole past, twice; then 4 s each of what was gained in the last 60 s: twice the last edge
    assert answers == [2, 2, 8]


def test_what_the_webhook_refuses_is_refused() -> None:
    with pytest.raises(InvalidInput, match="periods and windows"):
        make_kthena(MODELS, shipped=KthenaShipped(behavior=Behavior(RateLimit(0, 100, period_s=1801.0))))
    with pytest.raises(InvalidInput, match=r"target values.*tolerance"):
        make_kthena(MODELS, targets={KEY: 0.0}, shipped=KthenaShipped(tolerance_ratio=1.5))
    pair = tuple(replace(make_variant(role.value, maximum=2), roles=(role,)) for role in (Role.PREFILL, Role.DECODE))
    with pytest.raises(InvalidInput, match="ratio"):
        make_kthena((make_model(*pair),), shipped=KthenaShipped(ratio=RatioRule(9.0, 9.0)))


def test_growth_is_four_or_double_in_a_minute_and_shrinking_waits_five() -> None:
    decider, now, seen = make_kthena(MODELS), 2, []
    for tick in range(1, 30):
        total = 20.0 if tick < 3 else 200.0 if tick < 6 else 0.0
        now = step(decider, 15.0 * tick, [Told(waiting=total / now)] * now) or now
        seen.append(now)
    assert seen[:5] == [2, 2, 6, 6, 6]
    assert seen[5:25] == [6] * 20
    assert seen[25:] == [1] * 4


def test_the_load_of_one_replica_on_ten_changes_nothing_since_their_sum_is_one_report() -> None:
    decider = make_kthena(MODELS, shipped=KthenaShipped(behavior=FREE))
    assert step(decider, 15.0, [Told(waiting=1.05)] * 10) == 10
    assert step(decider, 30.0, [Told(waiting=5.0)] * 10) == 5


def test_one_pod_that_starts_blocks_shrinking() -> None:
    decider = make_kthena(MODELS, shipped=KthenaShipped(behavior=FREE))
    assert step(decider, 15.0, [Told(waiting=5.0)] * 9, starting=1) == 10


def test_one_page_that_cannot_be_had_skips_the_cycle() -> None:
    decider = make_kthena(MODELS)
    assert step(decider, 15.0, [Told(waiting=99.0)] * 3 + [Told(is_lost=True)]) is None
    assert step(decider, 30.0, [Told(waiting=99.0)] * 4) == 8


def test_a_pod_that_goes_away_takes_the_report_of_all_along() -> None:
    view = make_scraper_view(15.0, [Told(waiting=99.0)] * 3)
    state = view.snapshot.models[0].variants[0]
    going = replace(state.pods[0], phase=PodPhase.TERMINATING)
    spoiled = ModelSnapshot(MODEL, (replace(state, pods=(going, *state.pods[1:])),))
    assert make_kthena(MODELS).step(replace(view, snapshot=FleetSnapshot(15.0, (spoiled,)))) == {}


def test_a_pod_that_ever_restarted_takes_the_report_of_all_along_while_it_exists() -> None:
    decider = make_kthena(MODELS)
    pods = [Told(waiting=99.0)] * 2

    def tell(now_s: float, start_s: float) -> Mapping[VariantKey, int]:
        view = make_scraper_view(now_s, pods)
        readings = tuple(replace(entry, start_s=start_s) for entry in view.readings[MODEL])
        return decider.step(replace(view, readings={MODEL: readings}))

    assert tell(15.0, 0.0) == {KEY: 6}
    assert tell(30.0, 20.0) == {}
    assert tell(45.0, 20.0) == {}


def test_a_group_is_spread_in_doubling_blocks_by_cost() -> None:
    decider = make_kthena(GROUP, shipped=KthenaShipped(behavior=FREE))
    seen = []
    for total in (2.0, 3.0, 5.0, 8.0):
        pods = {"h100": [Told(waiting=5.0 * total)], "a100": [Told(waiting=5.0 * total)]}
        seen.append(count(decider.step(look(15.0, pods))))
    assert seen == [{"h100": 0, "a100": 2}, {"h100": 1, "a100": 2}, {"h100": 2, "a100": 3}, {"h100": 4, "a100": 4}]


def test_a_group_never_leaves_its_peak() -> None:
    decider = make_kthena(GROUP)
    pods: dict[str, Sequence[Told]] = {"h100": [Told(waiting=50.0)] * 2, "a100": [Told(waiting=50.0)] * 2}
    for tick in range(1, 60):
        answers = count(decider.step(look(15.0 * tick, pods)))
        waiting = 50.0 if tick < 3 else 0.5
        pods = {name: [Told(waiting=waiting)] * replicas for name, replicas in answers.items()}
    assert sum(answers.values()) == 12


def test_a_variant_at_zero_stops_the_others_from_shrinking() -> None:
    decider = make_kthena(GROUP, shipped=KthenaShipped(behavior=FREE))
    assert sum(decider.step(look(15.0, {"h100": [], "a100": [Told(waiting=3.75)] * 8})).values()) == 8


def test_roles_are_repaired_after_the_limits_and_one_that_does_not_tell_stops_both() -> None:
    prefill = replace(make_variant("p", minimum=1, maximum=8), roles=(Role.PREFILL,))
    decode = replace(make_variant("d", minimum=1, maximum=16), roles=(Role.DECODE,))
    shipped = KthenaShipped(ratio=RatioRule(0.25, 1.0))
    decider = make_kthena((make_model(prefill, decode),), shipped=shipped)

    def tell(pods: Mapping[str, Sequence[Told]]) -> dict[str, int]:
        view = look(15.0, pods)
        roles = {"p": Role.PREFILL, "d": Role.DECODE}
        states = tuple(
            replace(state, key=replace(state.key, role=roles[state.key.variant]))
            for state in view.snapshot.models[0].variants
        )
        requested = {replace(key, role=roles[key.variant]): number for key, number in view.requested.items()}
        snapshot = FleetSnapshot(15.0, (ModelSnapshot(MODEL, states),))
        return count(decider.step(replace(view, snapshot=snapshot, requested=requested)))

    assert tell({"p": [Told(waiting=90.0)], "d": [Told(waiting=1.0)] * 3}) == {"p": 5, "d": 5}
    assert tell({"p": [Told(waiting=90.0)], "d": [Told(is_lost=True)]}) == {}


def test_without_metrics_what_lies_outside_the_bounds_is_brought_back() -> None:
    assert step(make_kthena(MODELS), 15.0, [], requested=25) == 20


def test_more_load_never_gives_fewer_replicas() -> None:
    seen = [step(make_kthena(MODELS), 15.0, [Told(waiting=load / 2)] * 4) or 0 for load in range(0, 90, 3)]
    assert seen == sorted(seen)


@pytest.mark.parametrize("targets", [None, {simulated_clusters.KEY: 16.0}])
def test_it_follows_a_rise_in_a_simulated_cluster(targets: Mapping[VariantKey, float] | None) -> None:
    requests = simulated_clusters.make_changing_requests([(2.0, 300.0), (40.0, 600.0)], seed=4)
    scenario = simulated_clusters.make_scenario(requests, 900.0)
    steps = simulate(scenario, make_kthena(scenario.models, scenario.accelerators, targets)).list_replica_steps(
        simulated_clusters.KEY
    )
    assert steps[0][1] == 1
    assert steps[-1][1] >= 2
