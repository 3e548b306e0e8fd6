from __future__ import annotations

import pytest

from optimizer.domain import (
    FleetSnapshot,
    Histogram,
    HistogramReading,
    ModelSnapshot,
    PodPhase,
    PodReading,
    PodState,
    VariantState,
)
from optimizer.policy.saturation import SaturationVersion
from optimizer.simulation.decider import Decider, ScraperView
from optimizer.simulation.deciders.saturation import SaturationShipped, make_saturation
from tests.builders.snapshots import MODEL, make_pod_key, make_window
from tests.builders.story import make_model, make_variant

POOL = make_variant("pool", maximum=8)
KEY = POOL.key()


def look(now_s: float, replicas: int, kv_ratio: float, waiting: float = 0.0, arrivals: float = 5.0) -> ScraperView:
    pods = tuple(
        PodState(
            make_pod_key(f"pool-{index}"),
            PodPhase.READY,
            seen_s=now_s,
            kv_cache_ratio=kv_ratio,
            waiting_requests=waiting,
            kv_capacity_tokens=100_000.0,
        )
        for index in range(replicas)
    )
    windows = tuple(make_window(f"pool-{index}", arrivals, now_s - 15.0, now_s) for index in range(replicas))
    snapshot = ModelSnapshot(MODEL, (VariantState(KEY, replicas, pods),), windows)
    ended = 100.0 + now_s
    lengths = {
        name: HistogramReading((1e6,), (ended,), ended, ended * mean_tokens)
        for name, mean_tokens in ((Histogram.INPUT_TOKENS, 1000.0), (Histogram.OUTPUT_TOKENS, 200.0))
    }
    readings = tuple(PodReading(pod.pod, MODEL.model_id, "vllm", now_s, histograms=lengths) for pod in pods)
    return ScraperView(now_s, FleetSnapshot(now_s, (snapshot,)), {KEY: replicas}, {MODEL: readings})


def test_it_has_the_period_of_the_peer_and_needs_the_usual_figures_only() -> None:
    decider: Decider = make_saturation((make_model(POOL),))
    assert decider.period_s == 30.0
    assert decider.signals == {}


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


def test_a_variant_whose_pods_do_not_tell_keeps_its_count() -> None:
    decider = make_saturation((make_model(POOL),))
    silent = ModelSnapshot(MODEL, (VariantState(KEY, 3, ()),))
    assert decider.step(ScraperView(0.0, FleetSnapshot(0.0, (silent,)), {KEY: 3})) == {KEY: 3}


@pytest.mark.parametrize("may_be_zero", [False, True])
def test_it_goes_to_zero_after_the_retention_period_where_it_may(may_be_zero: bool) -> None:
    shipped = SaturationShipped(may_be_zero=may_be_zero, retention_s=60.0)
    decider = make_saturation((make_model(POOL),), shipped=shipped)
    asked = [decider.step(look(now_s, 1, 0.0, arrivals=0.0))[KEY] for now_s in (0.0, 30.0, 60.0)]
    assert asked == [1, 1, 0 if may_be_zero else 1]


def test_equal_views_give_equal_answers() -> None:
    views = [look(30.0 * cycle, 2 + cycle % 3, 0.3 * (cycle % 4), 4.0 * (cycle % 2)) for cycle in range(12)]
    runs = []
    for _ in range(2):
        decider = make_saturation((make_model(POOL),))
        runs.append([decider.step(view) for view in views])
    assert runs[0] == runs[1]
