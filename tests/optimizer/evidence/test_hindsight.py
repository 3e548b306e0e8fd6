from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from optimizer import DemandStep, InvalidInput, replay
from optimizer.evidence import (
    check_record,
    compute_capacity_per_s,
    compute_homogeneous_costs,
    compute_mix_cost,
    compute_static_peak_costs,
)
from tests.builders.snapshots import MODEL, make_workload
from tests.builders.story import get_capacity_per_s, make_model, make_settings, make_variant

SMALL = make_variant("small", cost_per_hour=1.0)
BIG = make_variant("big", cost_per_hour=2.7, speed=2.0)
MODEL_OF_BOTH = make_model(SMALL, BIG)
SETTINGS = make_settings(MODEL_OF_BOTH)
MU_SMALL, MU_BIG = get_capacity_per_s(SMALL), get_capacity_per_s(BIG)


def make_steps(rates_per_s: list[float], step_s: float = 900.0) -> tuple[DemandStep, ...]:
    return tuple(
        DemandStep(step_s * index, step_s * (index + 1), make_workload(rate)) for index, rate in enumerate(rates_per_s)
    )


def test_homogeneous_and_static_costs_are_what_a_hand_computes() -> None:
    steps = make_steps([0.0, 2.5 * MU_SMALL, 1.0 * MU_BIG])
    homogeneous = compute_homogeneous_costs(MODEL_OF_BOTH, steps, SETTINGS)
    assert homogeneous["small"] == pytest.approx(0.25 * (0 + 3 + math.ceil(MU_BIG / MU_SMALL)))
    assert homogeneous["big"] == pytest.approx(0.25 * 2.7 * (0 + 1 + 1))
    static = compute_static_peak_costs(MODEL_OF_BOTH, steps, SETTINGS)
    assert static["small"] == pytest.approx(0.75 * math.ceil(MU_BIG / MU_SMALL))
    assert static["big"] == pytest.approx(0.75 * 2.7)


def test_a_variant_that_carries_nothing_cannot_serve_alone() -> None:
    slow = make_variant("slow", speed=0.1)
    costs = compute_homogeneous_costs(make_model(slow), make_steps([1.0]), SETTINGS)
    assert costs == {"slow": math.inf}
    assert compute_homogeneous_costs(make_model(slow), make_steps([0.0]), SETTINGS) == {"slow": 0.0}


def test_the_cheapest_mix_equals_trying_all_of_them() -> None:
    third = make_variant("third", cost_per_hour=0.62, speed=0.8)
    model = make_model(SMALL, BIG, third)
    capacities = [compute_capacity_per_s(variant, model, make_workload()) for variant in model.variants]
    prices = [1.0, 2.7, 0.62]
    for rate in np.random.default_rng(2).uniform(0.1, 12.0, 25).tolist():
        costs = [
            sum(count * price for count, price in zip(counts, prices, strict=True))
            for counts in itertools.product(range(12), repeat=3)
            if sum(count * capacity for count, capacity in zip(counts, capacities, strict=True)) >= rate
        ]
        assert compute_mix_cost(model, make_steps([rate], 3600.0), SETTINGS) == pytest.approx(min(costs))


def test_a_mix_is_never_dearer_than_one_variant_and_one_variant_never_dearer_than_the_static_peak() -> None:
    steps = make_steps(np.random.default_rng(3).uniform(0.0, 15.0, 30).tolist())
    homogeneous = min(compute_homogeneous_costs(MODEL_OF_BOTH, steps, SETTINGS).values())
    assert compute_mix_cost(MODEL_OF_BOTH, steps, SETTINGS) <= homogeneous
    assert homogeneous <= min(compute_static_peak_costs(MODEL_OF_BOTH, steps, SETTINGS).values())


@pytest.mark.parametrize(
    "steps",
    [
        (DemandStep(0.0, 0.0, make_workload()),),
        (DemandStep(0.0, 10.0, make_workload()), DemandStep(20.0, 30.0, make_workload())),
        (DemandStep(0.0, 10.0, make_workload()), DemandStep(5.0, 15.0, make_workload())),
    ],
    ids=["no length", "gap", "overlap"],
)
def test_what_is_no_sequence_of_steps_is_refused(steps: tuple[DemandStep, ...]) -> None:
    with pytest.raises(InvalidInput, match=r"record\[prod/llama\]"):
        check_record({MODEL: steps})
    with pytest.raises(InvalidInput):
        replay({MODEL: steps}, SETTINGS)
