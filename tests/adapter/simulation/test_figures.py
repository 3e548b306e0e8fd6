"""Figures of every LLM and class by itself: counted once more from the requests, adding up to those of the whole."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from adapter.simulation.figures import compute_figures, compute_model_figures
from adapter.simulation.narrowing import narrow
from adapter.simulation.run_options import RunOptions
from adapter.simulation.running import Outcome, Stage, prepare_stage, run_policy
from adapter.simulation.table import render_bounds, render_table
from optimizer.domain import LatencyQuantity, Role, ServiceClass, Slo
from optimizer.simulation.cluster import Requests, find_under_capacity, simulate
from tests.adapter.simulation.test_asking import make_classed_fleet
from tests.builders.simulated_clusters import Scripted, make_scenario, make_variant
from tests.builders.simulated_fleets import make_trace

STRICT = ServiceClass("strict", (Slo(LatencyQuantity.TTFT, 0.035),))
LAX = ServiceClass("lax", (Slo(LatencyQuantity.TTFT, 60.0),))


def play(llms: int = 2, **options: object) -> tuple[Stage, Outcome]:
    """Return a run of two classes, so busy that some of the strict one miss."""
    trace = make_trace(sorted(np.random.default_rng(4).uniform(0.0, 300.0, 2400).tolist()), 300.0)
    fleet = make_classed_fleet(STRICT, LAX, llms=llms)
    stage = prepare_stage(trace, fleet, RunOptions(**options))  # type: ignore[arg-type]
    return stage, run_policy("hpa_queue", stage)


def test_every_class_is_judged_by_its_own_promise() -> None:
    _, outcome = play(has_bounds=False)
    result = outcome.result
    figures = compute_figures(outcome, {})
    ttft_s, requests = np.asarray(result.columns.ttft_s), result.scenario.requests
    assert len(figures.classes) == 4
    for number, line in enumerate(figures.classes):
        index, place = divmod(number, 2)
        mine = (requests.model == index) & (requests.service_class == place)
        target_s = (0.035, 60.0)[place]
        assert (line.model, line.service_class) == (f"prod/llama-{index}", ("strict", "lax")[place])
        assert line.requests == np.count_nonzero(mine)
        assert line.attainment_ratio == pytest.approx(float((ttft_s[mine] <= target_s).mean()))
        assert line.p50_s[LatencyQuantity.TTFT] == sorted(ttft_s[mine])[math.ceil(0.5 * line.requests) - 1]
        assert (line.attainment_ratio == 1.0) == (place == 1)


def test_figures_of_llms_add_up_to_those_of_the_run() -> None:
    stage, outcome = play(has_bounds=False)
    whole = compute_figures(outcome, stage.briefing.peaks)
    parts = list(compute_model_figures(outcome, stage.briefing.peaks).values())
    assert len(parts) == 2
    assert math.fsum(part.cost for part in parts) == pytest.approx(whole.cost)
    assert sum(part.requests for part in parts) == whole.requests
    kept = math.fsum(part.attainment_ratio * part.requests for part in parts)
    assert kept / whole.requests == pytest.approx(whole.attainment_ratio)
    assert whole.goodput_per_cost == pytest.approx(kept / whole.cost)
    assert math.fsum(part.mean_replicas for part in parts) == pytest.approx(whole.mean_replicas)
    assert tuple(line for part in parts for line in part.classes) == whole.classes


def test_a_run_of_one_llm_is_not_narrowed() -> None:
    _, outcome = play(llms=1, has_bounds=False)
    assert narrow(outcome.result, 0) is outcome.result
    assert narrow(outcome.result, 0, 1).requests + narrow(outcome.result, 0, 0).requests == 2400


def test_the_table_has_a_row_for_every_class_and_the_ladder_a_line_for_every_llm() -> None:
    stage, outcome = play()
    text = render_table([compute_figures(outcome, stage.briefing.peaks)])
    rows = [line[:28].strip() for line in text.splitlines()]
    assert rows[rows.index("TTFT") : rows.index("goodput per cost")] == [
        "TTFT",
        *("llama-0 strict", "llama-0 lax", "llama-1 strict", "llama-1 lax"),
    ]
    assert outcome.ladder is not None
    told = [line.strip() for line in render_bounds(outcome).splitlines()]
    for one in outcome.ladder.models:
        start = f"{one.model.model_id}: cost {one.cost:.4f}"
        assert any(line.startswith(start) and f"bound {one.ladder.bound:.4f}" in line for line in told)


def test_an_llm_below_its_own_bound_is_named_though_the_sum_is_not() -> None:
    _, outcome = play()
    assert outcome.ladder is not None
    assert outcome.is_possible
    first, second = outcome.ladder.models
    cheated = replace(outcome, ladder=replace(outcome.ladder, models=(replace(first, cost=0.0), second)))
    assert not cheated.is_possible
    (told,) = [line for line in render_bounds(cheated).splitlines() if "VIOLATED" in line]
    assert "prod/llama-0: cost 0.000000 is below" in told


def test_recovery_counts_from_the_last_jump_that_leaves_time_to_judge_it() -> None:
    stage, outcome = play(has_bounds=False)
    assert compute_figures(outcome, stage.briefing.peaks).recovery_s is None
    assert compute_figures(outcome, stage.briefing.peaks, (151.0,)).recovery_s is None  # 149 s are left
    assert compute_figures(outcome, stage.briefing.peaks, (100.0,)).recovery_s == math.inf
    told = render_table([compute_figures(outcome, stage.briefing.peaks, (100.0,))])
    assert "recovered from a jump never" in " ".join(told.split())


def test_the_scarcer_of_prefill_and_decode_is_the_capacity_of_both() -> None:
    variants = tuple(make_variant(role.value, role=role) for role in (Role.PREFILL, Role.DECODE))
    requests = Requests.from_columns([0.25 * number for number in range(480)], 100, 10)  # 4 a second for 2 min
    result = simulate(make_scenario(requests, 120.0, variants=variants), Scripted([(0.0, {})]))
    prefill, decode = (variant.key(variant.main_role) for variant in variants)
    for capacities, expected_s in (({prefill: 5.0, decode: 5.0}, 0.0), ({prefill: 9.0, decode: 3.0}, 120.0)):
        assert find_under_capacity(result, capacities).demand_s == expected_s
