"""Policies that scale every variant by itself: one at zero stays there, and what was the last of an LLM still wakes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from optimizer import State, decide
from optimizer.domain import FleetSnapshot, ModelSnapshot, ServedModel, VariantState
from tests.builders.snapshots import make_gateway
from tests.builders.story import make_model, make_settings, make_variant
from tests.builders.told_fleet import OPTIONS, PERIOD_S, RUNNING, Fleet

BUSY = {"metric": {"series": RUNNING, "target": 4}, "scale_down_cooldown_window": 0}
BUSY_OLD = {"metric": {"series": RUNNING, "target": 4}, "version": "v0.4"}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "target": OPTIONS["target"],
    "knative": OPTIONS["knative"],
    "knative on the rate": ("knative", {"metric": "rate", "total": 2}),
    "kthena": ("kthena", {**OPTIONS["kthena"][1], "target": "homogeneous"}),
    "aibrix kpa": ("aibrix", BUSY),
    "aibrix apa": ("aibrix", {**BUSY, "algorithm": "apa"}),
    "aibrix kpa v0.4": ("aibrix", {**BUSY_OLD, "scale_down_delay": 0}),
    "aibrix apa v0.4": ("aibrix", {**BUSY_OLD, "algorithm": "apa"}),
}


def make_served(case: str, *names: str, **more: Any) -> ServedModel:
    policy, options = CASES[case]
    model = make_model(*(make_variant(name, maximum=20, **more) for name in names), policy=policy, gateway=True)
    return replace(model, policy_options=options)


@pytest.mark.parametrize("case", CASES)
def test_a_variant_at_zero_stays_there_however_busy_the_other_is(case: str) -> None:
    fleet, stream, course = Fleet(make_served(case, "one", "two"), {"one": 2, "two": 0}), np.random.default_rng(0), []
    for _ in range(12):
        published = fleet.pass_by(1.0, frozenset(), stream)
        fleet.counts = dict(published)
        course.append(published)
    assert course[-1]["one"] > 2  # it follows its load
    assert {published["two"] for published in course} == {0}


def show_nothing(model: ServedModel, waiting: float, passes: int) -> list[dict[str, int]]:
    """Return what is published for an LLM without any pod at whose gateway requests wait."""
    state, course = State(), []
    for index in range(1, passes + 1):
        now_s = index * PERIOD_S
        states = tuple(VariantState(variant.key(), 0, ()) for variant in model.variants)
        gateway = make_gateway(waiting if index == 1 else 0.0, now_s - PERIOD_S, now_s, waiting)
        snapshot = FleetSnapshot(now_s, (ModelSnapshot(model.key, states, (), gateway),))
        outcome = decide(state, snapshot, now_s, make_settings(model))
        state = outcome.state
        course.append({line.key.variant: line.planned_replicas for line in outcome.decisions[0].variants})
    return course


@pytest.mark.parametrize("case", CASES)
def test_an_llm_at_zero_wakes_one_variant_for_who_waits_at_its_gateway(case: str) -> None:
    assert show_nothing(make_served(case, "one"), 3.0, 3) == [{"one": 1}] * 3
    course = show_nothing(make_served(case, "one", "two"), 3.0, 3)
    assert [sum(published.values()) for published in course] == [1] * 3, course


@pytest.mark.parametrize("case", CASES)
def test_a_bound_is_kept_of_a_variant_that_stands_at_zero(case: str) -> None:
    assert show_nothing(make_served(case, "one", minimum=2), 0.0, 2) == [{"one": 2}] * 2
