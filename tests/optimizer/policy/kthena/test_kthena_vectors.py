"""The peer's rules against 157 published cases; what the product decides of them stands with the policy."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from optimizer.errors import InvalidInput
from optimizer.policy.kthena.behavior import Behavior, PanicRule, RateLimit, Select
from optimizer.policy.kthena.blocks import GroupTarget, distribute, list_blocks
from optimizer.policy.kthena.correct import Memory, Span, correct, make_memory
from optimizer.policy.kthena.histogram import aggregate_external, compute_gained_quantile
from optimizer.policy.kthena.ratio import RatioRule, repair_ratio
from optimizer.policy.kthena.recommend import MetricReports, MetricRule, recommend
from optimizer.policy.kthena.step import step_peer
from optimizer.policy.kthena.windows import Best, LineWindow, RecordWindow, SnapshotWindow
from tests.builders.vector_cases import list_run_cases
from tests.optimizer.policy.kthena import test_kthena_options

VECTORS = Path(__file__).parents[3] / "data" / "vectors" / "kthena.json"
CASES: list[dict[str, Any]] = json.loads(VECTORS.read_text())["cases"]


def find_cases(function: str) -> list[Any]:
    chosen = [case for case in CASES if case["name"].split("/")[0] == function]
    assert chosen
    return [pytest.param(case["input"], case["expected"], id=case["name"]) for case in chosen]


def to_limit(given: dict[str, Any], period_s: float = 3600.0, stabilization_s: float = 3600.0) -> RateLimit:
    words = {"Or": Select.OR, "And": Select.AND}
    return RateLimit(
        given["instances_replicas"],
        given["percent"],
        words.get(given["select"], Select.NEITHER),
        given.get("period_s", period_s),
        given.get("stabilization_s", stabilization_s),
    )


def to_targets(params: list[dict[str, Any]]) -> list[GroupTarget]:
    return [
        GroupTarget(entry["target"], entry["cost_per_replica"], entry["min_replicas"], entry["max_replicas"])
        for entry in params
    ]


@pytest.mark.parametrize("given, expected", find_cases("recommend"))
def test_recommends_as_published(given: dict[str, Any], expected: dict[str, Any]) -> None:
    rule = MetricRule(
        given["target_metric_per_replica"], given["min_replicas"], given["max_replicas"], given["tolerance_ratio"]
    )
    seen = MetricReports(
        given["current_replicas"], given["unready_replicas"], tuple(given["reported_metric"]), given["external_metric"]
    )
    assert recommend(seen, rule) == expected["recommended_replicas"]


def remember(behavior: Behavior, history: dict[str, list[int]]) -> Memory:
    memory = make_memory(behavior)
    parts = {
        "recommended_max_window": "highest_recommended",
        "recommended_min_window": "lowest_recommended",
        "corrected_max_window": "highest_corrected",
        "corrected_min_window_stable": "lowest_corrected",
        "corrected_min_window_panic": "lowest_in_panic",
    }
    windows = {field: getattr(memory, field) for field in parts.values()}
    for name, values in history.items():
        for value in values:
            windows[parts[name]] = windows[parts[name]].append(value, 1.0)
    return Memory(**windows)


@pytest.mark.parametrize("given, expected", find_cases("correct"))
def test_corrects_as_published(given: dict[str, Any], expected: dict[str, Any]) -> None:
    panic = PanicRule(given["panic_percent"], 3600.0, 200, 60.0)
    behavior = Behavior(to_limit(given["scale_up"]), to_limit(given["scale_down"]), panic)
    memory = remember(behavior, given["history_replicas"])
    if given["mode"] == "panic":
        memory = memory.refresh_panic(behavior, 1.0)
    span = Span(given["min_replicas"], given["max_replicas"], given["current_replicas"])
    assert correct(given["recommended_replicas"], span, behavior, memory, 1.0) == expected["corrected_replicas"]


@pytest.mark.parametrize("given, expected", find_cases("window"))
def test_windows_answer_as_published(given: dict[str, Any], expected: dict[str, Any]) -> None:
    length_s, kind = given["window_s"], given["kind"]
    best = Best.HIGHEST if kind.endswith("max") else Best.LOWEST
    record, line = RecordWindow(best, length_s), LineWindow(RecordWindow(best, length_s))
    snapshots = SnapshotWindow[str](length_s, given.get("keep_s", 0.0))
    answers: list[object] = []
    for event in given["events"]:
        at_s = float(event["t_s"])
        if "append" in event and kind == "snapshot":
            snapshots = snapshots.append(event["append"], at_s)
        elif "append" in event:
            record, line = record.append(event["append"], at_s), line.append(event["append"], at_s)
        elif kind == "snapshot":
            answers.append(snapshots.query(at_s))
        else:
            is_line = kind.startswith("line")
            answers.append(line.query(event["current"], at_s) if is_line else record.query(at_s))
    assert answers == expected["queries"]


def to_buckets(rows: list[list[float | None]]) -> list[tuple[float, float]]:
    return [(math.inf if edge is None else edge, count or 0.0) for edge, count in rows]


@pytest.mark.parametrize("given, expected", find_cases("histogram_quantile"))
def test_quantiles_are_as_published(given: dict[str, Any], expected: dict[str, Any]) -> None:
    now, past = to_buckets(given["now_cumulative"]), to_buckets(given["past_cumulative"])
    if "error" in expected:
        with pytest.raises(InvalidInput):
            compute_gained_quantile(now, past, given["percentile_percent"])
    else:
        quantile = compute_gained_quantile(now, past, given["percentile_percent"])
        assert quantile == pytest.approx(expected["quantile_metric"], rel=1e-12)


@pytest.mark.parametrize("given, expected", find_cases("role_ratio"))
def test_ratios_are_repaired_as_published(given: dict[str, Any], expected: dict[str, Any]) -> None:
    rule = None if given.get("min_ratio") is None else RatioRule(given["min_ratio"], given["max_ratio"])
    least, most = given["numerator_bounds_replicas"], given["denominator_bounds_replicas"]
    repaired = repair_ratio(
        given["numerator_replicas"], given["denominator_replicas"], (least[0], least[1]), (most[0], most[1]), rule
    )
    assert repaired == (expected["numerator_replicas"], expected["denominator_replicas"], expected["adjusted"])


@pytest.mark.parametrize("given, expected", find_cases("aggregate_external"))
def test_values_of_several_targets_become_one_as_published(given: dict[str, Any], expected: dict[str, Any]) -> None:
    samples = [(entry["value_metric"], entry["replicas"]) for entry in given["samples"]]
    assert aggregate_external(given["metric_name"], samples) == pytest.approx(expected["value_metric"], rel=1e-12)


@pytest.mark.parametrize("given, expected", find_cases("blocks"))
def test_blocks_are_as_published(given: dict[str, Any], expected: dict[str, Any]) -> None:
    blocks = list_blocks(to_targets(given["params"]), given["cost_expansion_rate_percent"])
    found = [{"target": block.target, "replicas": block.replicas, "block_cost": block.block_cost} for block in blocks]
    assert found == expected["blocks"]


@pytest.mark.parametrize("given, expected", find_cases("distribute"))
def test_totals_are_spread_as_published(given: dict[str, Any], expected: dict[str, Any]) -> None:
    targets, rate_percent = to_targets(given["params"]), given["cost_expansion_rate_percent"]
    found = [distribute(total, targets, rate_percent) for total in given["total_replicas"]]
    assert found == expected["replicas"]


def report(given: dict[str, Any], total: float | None, current: int, unready: int) -> MetricReports:
    if given["source"] == "prometheus":
        return MetricReports(current, unready, (), {} if total is None else {"m": total})
    return MetricReports(current, unready, ({} if total is None else {"m": total},))


@pytest.mark.parametrize("given, expected", find_cases("trace"))
def test_traces_run_as_published(given: dict[str, Any], expected: dict[str, Any]) -> None:
    panic = given["panic"]
    behavior = Behavior(
        to_limit(given["scale_up"]),
        to_limit(given["scale_down"]),
        PanicRule(panic["percent"], panic["period_s"], panic["threshold_percent"], panic["hold_s"]),
    )
    target = {"m": given["target_metric_per_replica"]}
    rule = MetricRule(target, given["min_replicas"], given["max_replicas"], given["tolerance_ratio"])
    memory, current, cycles = make_memory(behavior), given["start_replicas"], []
    for at_s, total, unready in zip(given["t_s"], given["total_metric"], given["unready_replicas"], strict=True):
        cycle, memory = step_peer(
            memory,
            report(given, total, current, unready),
            at_s,
            rule,
            behavior,
            is_heterogeneous=given["records_corrected_as_recommended"],
        )
        current = cycle.corrected_replicas
        cycles.append(cycle)
    assert [cycle.recommended_replicas for cycle in cycles] == expected["recommended_replicas"]
    assert [cycle.corrected_replicas for cycle in cycles] == expected["corrected_replicas"]
    modes = ["skip" if c.recommended_replicas is None else "panic" if c.is_panic else "stable" for c in cycles]
    assert modes == expected["mode"]


def test_every_published_case_is_run() -> None:
    assert list_run_cases(globals(), test_kthena_options) == {case["name"] for case in CASES}
    assert len({case["name"] for case in CASES}) == len(CASES) == 157
