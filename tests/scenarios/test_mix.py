"""Mixing pays where it can: below like-for-like at no lower attainment; and where one variant wins, it is that one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from optimizer import DemandRecord, DemandStep, compute_mix_cost, gather_evidence, replay
from optimizer.domain import Variant
from optimizer.evidence import replay_like_for_like
from tests.builders.snapshots import MODEL, make_workload
from tests.builders.story import Story, make_model, make_settings, make_variant

SMALL = make_variant("small", cost_per_hour=1.0)
BIG = make_variant("big", cost_per_hour=2.7, speed=2.0)


def make_record(rate_at: Callable[[float], float], end_s: float, seed: int | None = None) -> DemandRecord:
    stream = np.random.default_rng(seed)
    rates = [rate_at(start_s + 7.5) for start_s in np.arange(0.0, end_s, 15.0)]
    counted = rates if seed is None else [float(stream.poisson(rate * 15.0)) / 15.0 for rate in rates]
    return {MODEL: tuple(DemandStep(15.0 * i, 15.0 * i + 15.0, make_workload(rate)) for i, rate in enumerate(counted))}


@pytest.mark.parametrize(
    "mean_per_s, swing_per_s", [pytest.param(12.0, 5.0, marks=pytest.mark.slow), (6.0, 2.5), (9.0, 6.0)]
)
@pytest.mark.parametrize("seed", [pytest.param(None, marks=pytest.mark.slow), 1])
def test_where_a_mix_is_a_tenth_cheaper_our_bill_is_below_like_for_like(
    mean_per_s: float, swing_per_s: float, seed: int | None
) -> None:
    def tide(time_s: float) -> float:
        return mean_per_s + swing_per_s * float(np.sin(time_s / 1800.0 * 2.0 * np.pi))

    record = make_record(tide, 1800.0, seed)
    settings = make_settings(make_model(SMALL, BIG))
    (evidence,) = gather_evidence(record, settings)
    assert compute_mix_cost(settings.models[0], record[MODEL], settings) <= 0.9 * evidence.homogeneous.cost
    assert evidence.ours.cost < evidence.best_like_for_like.cost
    assert evidence.ours.attainment_ratio >= evidence.best_like_for_like.attainment_ratio - 0.001
    assert evidence.ours.attainment_ratio >= 0.99


@pytest.mark.parametrize(
    "winner, loser",
    [
        (SMALL, make_variant("big", cost_per_hour=4.5, speed=2.0)),
        (make_variant("big", cost_per_hour=0.95, speed=2.0), SMALL),
    ],
    ids=["small", "big"],
)
def test_where_one_variant_wins_that_one_is_used(winner: Variant, loser: Variant) -> None:
    settings = make_settings(make_model(winner, loser))
    rate_per_s = 2.2 * 7.65
    story = Story(settings, lambda t: rate_per_s, {winner.name: 0, loser.name: 9}, seed=1)
    story.run(900.0)
    assert story.passes[-1].planned[loser.name] == 0
    assert story.get_attainment_ratio(60.0) == 1.0
    record = make_record(lambda t: rate_per_s, 900.0, seed=1)
    ours = replay(record, settings)[MODEL]
    singles = replay_like_for_like(record, settings.models[0], settings)
    assert singles[0].variant == winner.name
    assert ours.cost == pytest.approx(singles[0].cost, rel=0.02)
