from __future__ import annotations

from dataclasses import replace

import pytest

from optimizer.policy.hpa_law import DEFAULT_DOWN, Behavior
from optimizer.simulation.decider import Decider
from optimizer.simulation.deciders.hpa import HpaDecider, HpaMetric, HpaShipped, make_hpa_kv, make_hpa_queue
from tests.builders.scraper_views import Told, make_scraper_view
from tests.builders.story import make_model, make_variant

POOL = make_variant("pool", maximum=20)
KEY = POOL.key()
MODELS = (make_model(POOL),)
AT_ONCE = Behavior(down=replace(DEFAULT_DOWN, stabilization_window_s=0.0))


def run(decider: HpaDecider, views: list[list[Told]], requested: int | None = None) -> list[int]:
    return [
        decider.step(make_scraper_view(15.0 * index, pods, requested=requested))[KEY]
        for index, pods in enumerate(views)
    ]


def test_both_come_with_what_they_ship() -> None:
    queue, kv = make_hpa_queue(MODELS), make_hpa_kv(MODELS)
    decider: Decider = queue
    assert decider.period_s == kv.period_s == 15.0
    assert decider.signals == kv.signals == {}
    assert HpaShipped() == HpaShipped(HpaMetric.QUEUE, 5.0, 15.0, 0.1, None)


def test_waiting_requests_over_the_target_are_asked_for() -> None:
    assert run(make_hpa_queue(MODELS), [[Told(waiting=8.0), Told(waiting=7.5)]]) == [4]
    assert run(make_hpa_queue(MODELS), [[Told(waiting=5.4), Told(waiting=5.4)]]) == [2]  # within the tolerance
    assert run(make_hpa_queue(MODELS), [[Told(waiting=90.0)]]) == [4]  # at most double, to 4 at least


def test_the_kv_cache_over_the_target_is_asked_for() -> None:
    assert run(make_hpa_kv(MODELS), [[Told(kv_ratio=1.0), Told(kv_ratio=1.0)]]) == [3]
    assert run(make_hpa_kv(MODELS), [[Told(kv_ratio=0.86), Told(kv_ratio=0.86)]]) == [2]


def test_it_shrinks_only_after_five_minutes() -> None:
    busy, idle = [Told(waiting=5.0)] * 3, [Told()] * 3
    counts = run(make_hpa_queue(MODELS), [busy, *[idle] * 21])
    assert counts[:20] == [3] * 20
    assert counts[-1] == 1


def test_a_window_of_its_own_counts() -> None:
    shipped = HpaShipped(behavior=Behavior())
    assert run(make_hpa_queue(MODELS, shipped), [[Told(waiting=200.0)] * 2]) == [6]  # 4 more in 15 s


def test_a_lost_page_looks_like_less_load_and_no_page_at_all_holds() -> None:
    seen = [Told(waiting=10.0), Told(waiting=10.0), Told(waiting=10.0)]
    part = [Told(waiting=10.0), Told(waiting=10.0, is_lost=True), Told(waiting=10.0, is_lost=True)]
    none = [Told(waiting=10.0, is_lost=True)] * 3
    assert run(make_hpa_queue(MODELS), [seen]) == [6]
    assert run(make_hpa_queue(MODELS, HpaShipped(behavior=AT_ONCE)), [part]) == [2]
    assert run(make_hpa_queue(MODELS), [none], requested=5) == [5]


def test_more_load_never_gives_fewer_replicas() -> None:
    queued = [run(make_hpa_queue(MODELS), [[Told(waiting=0.5 * load)] * 3])[0] for load in range(50)]
    filled = [run(make_hpa_kv(MODELS), [[Told(kv_ratio=0.02 * load)] * 3])[0] for load in range(50)]
    assert queued == sorted(queued)
    assert filled == sorted(filled)


@pytest.mark.parametrize("minimum, maximum, expected", [(0, 20, 1), (2, 20, 2), (0, 0, 0)])
def test_the_least_is_one_replica_unless_none_is_allowed(minimum: int, maximum: int, expected: int) -> None:
    variant = make_variant("pool", minimum=minimum, maximum=maximum)
    decider = make_hpa_queue((make_model(variant),))
    counts = [decider.step(make_scraper_view(15.0 * index, [Told()], requested=1))[KEY] for index in range(30)]
    assert counts[-1] == expected
