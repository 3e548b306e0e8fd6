"""What of the memory of an LLM must be kept now."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adapter.kube.state_changes import has_calm_changed, summarize
from optimizer import State
from optimizer.domain import ModelKey
from optimizer.stabilization import StabilizationState
from optimizer.stabilization.calm import CalmBin, NeedCell
from optimizer.state import ModelState
from tests.builders.decisions import make_model_decision, make_variant_decision

KEY = ModelKey("prod", "m")
CELL = NeedCell(120.0, "chat", "", 10.0)
CALM = StabilizationState(
    bins=(CalmBin(0.0, 25.0, (CELL,), {"a/both": 2.0}, {"a/both": 4}), CalmBin(25.0, 40.0, (CELL,), {"a/both": 2.0})),
    begun_s=0.0,
)


def sum_up(calm: StabilizationState, *counts: int) -> Any:
    lines = [make_variant_decision(f"v{index}", count, model_id="m") for index, count in enumerate(counts)]
    decision = make_model_decision(*lines) if lines else None
    return summarize(State({KEY: ModelState(stabilization=calm, decision=decision)}), KEY)


def watch(rate_per_s: float = 10.0, capacity_per_s: float = 2.0, count: int = 4) -> StabilizationState:
    newest = CalmBin(40.0, 65.0, (replace(CELL, rate_per_s=rate_per_s),), {"a/both": capacity_per_s}, {"a/both": count})
    return replace(CALM, bins=(*CALM.bins, newest))


def test_the_published_numbers_are_the_plan() -> None:
    assert sum_up(CALM, 3, 0).planned == {"v0/both": 3, "v1/both": 0}
    assert sum_up(CALM).planned == {}


def test_time_that_passes_in_calm_is_no_change() -> None:
    assert not has_calm_changed(sum_up(CALM), sum_up(watch()))


@pytest.mark.parametrize("figures", [{"rate_per_s": 3.0}, {"rate_per_s": 10.9}, {"capacity_per_s": 9.0}, {"count": 1}])
def test_what_leaves_the_extremes_alone_is_no_change(figures: dict[str, Any]) -> None:
    assert not has_calm_changed(sum_up(CALM), sum_up(watch(**figures)))


@pytest.mark.parametrize("figures", [{"rate_per_s": 11.2}, {"capacity_per_s": 1.7}, {"count": 5}])
def test_a_new_extreme_is_a_change(figures: dict[str, Any]) -> None:
    assert has_calm_changed(sum_up(CALM), sum_up(watch(**figures)))


def test_an_extreme_that_leaves_the_window_is_a_change() -> None:
    assert has_calm_changed(sum_up(watch(rate_per_s=20.0)), sum_up(CALM))


def test_a_window_begun_anew_and_a_switch_in_sight_are_changes() -> None:
    assert has_calm_changed(sum_up(CALM), sum_up(replace(CALM, begun_s=30.0)))
    assert has_calm_changed(sum_up(CALM), sum_up(replace(CALM, switch_since_s=30.0)))


def test_an_empty_window_is_like_itself() -> None:
    assert not has_calm_changed(sum_up(StabilizationState()), sum_up(StabilizationState()))
