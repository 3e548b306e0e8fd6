from __future__ import annotations

from optimizer.policy.knative import KnativeSettings, LoadMetric
from optimizer.simulation.decider import Decider
from optimizer.simulation.deciders.knative import KnativeDecider, KnativeShipped, make_knative
from tests.builders.scraper_views import Told, make_scraper_view
from tests.builders.story import make_model, make_variant

POOL = make_variant("pool", maximum=20)
KEY = POOL.key()
MODELS = (make_model(POOL),)


def run(
    decider: KnativeDecider, pods: list[Told], seconds: int, start_s: int = 0, requested: int | None = None
) -> list[int]:
    return [
        decider.step(make_scraper_view(float(now_s), pods, requested=requested))[KEY]
        for now_s in range(start_s, start_s + seconds, 2)
    ]


def test_it_comes_with_what_the_peer_ships() -> None:
    decider: Decider = make_knative(MODELS)
    assert decider.period_s == 2.0
    assert decider.signals == {}
    assert KnativeShipped().settings == KnativeSettings(min_replicas=1)
    assert KnativeShipped().settings.target_requests == 70.0


def test_concurrency_over_the_target_is_asked_for() -> None:
    assert run(make_knative(MODELS), [Told(running=100.0, waiting=40.0)] * 2, 180)[-1] == 4
    assert run(make_knative(MODELS, {KEY: 20.0}), [Told(running=14.0, waiting=14.0)] * 2, 180)[-1] == 4


def test_a_burst_is_answered_within_the_quick_window() -> None:
    decider = make_knative(MODELS, {KEY: 20.0})
    assert run(decider, [Told(running=14.0)], 120)[-1] == 1
    counts = run(decider, [Told(running=100.0)], 10, start_s=120)
    assert counts[2] >= 5  # three of the six seconds are enough
    assert counts[-1] == 8


def test_it_counts_who_does_not_tell_as_average_and_keeps_when_nobody_tells() -> None:
    decider = make_knative(MODELS, {KEY: 20.0})
    told, lost = Told(running=28.0), Told(running=28.0, is_lost=True)
    assert run(decider, [told, lost], 180)[-1] == 4
    counts = run(decider, [lost, lost], 200, start_s=180, requested=4)
    assert counts[-1] == 4
    assert min(counts) == 4


def test_arrivals_can_be_counted_instead() -> None:
    shipped = KnativeShipped(settings=KnativeSettings(metric=LoadMetric.RATE, total=10.0, min_replicas=1))
    decider = make_knative(MODELS, shipped=shipped)
    assert run(decider, [Told(arrivals=15.0 * 14.0)] * 2, 180)[-1] == 4


def test_the_last_replica_stays() -> None:
    assert run(make_knative(MODELS), [Told()], 400)[-1] == 1


def test_more_load_never_gives_fewer_replicas() -> None:
    counts = [
        run(make_knative(MODELS, {KEY: 10.0}), [Told(running=float(load))] * 2, 180)[-1] for load in range(0, 90, 9)
    ]
    assert counts == sorted(counts)
