"""Figures of a run, each against what can be counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from optimizer.domain import LatencyQuantity
from optimizer.errors import InvalidInput
from optimizer.simulation.cluster import (
    ClusterOptions,
    Requests,
    StepSeries,
    compute_attainment_by_time,
    compute_goodput_per_cost,
    compute_quantile_s,
    count_changes,
    count_reversals,
    find_recovery_s,
    find_under_capacity,
    simulate,
)
from tests.builders.simulated_clusters import (
    KEY,
    Scripted,
    make_changing_requests,
    make_requests,
    make_scenario,
    make_static,
)


def test_quantiles_are_the_least_time_that_so_many_kept() -> None:
    result = simulate(make_scenario(make_requests(2.0, 300.0), 300.0, initial=1), make_static(1))
    ordered = sorted(result.columns.ttlt_s)
    assert compute_quantile_s(result, LatencyQuantity.TTLT, 0.5) == ordered[299]
    assert compute_quantile_s(result, LatencyQuantity.TTLT, 0.99) == ordered[593]
    assert compute_quantile_s(result, LatencyQuantity.TTLT, 1.0) == ordered[-1]
    with pytest.raises(InvalidInput, match="ratio"):
        compute_quantile_s(result, LatencyQuantity.TTLT, 0.0)


def test_without_latencies_of_each_request_quantiles_are_at_most_a_tenth_above_and_all_else_is_equal() -> None:
    scenario = make_scenario(make_requests(8.0, 300.0), 300.0, initial=1)
    whole = simulate(scenario, make_static(1))
    lean = simulate(scenario, make_static(1), ClusterOptions(keeps_requests=False))
    assert len(lean.columns.ttlt_s) == 0
    assert (lean.classes, lean.endings, lean.cost) == (whole.classes, whole.endings, whole.cost)
    for quantity in LatencyQuantity:
        for ratio in (0.5, 0.9, 0.99):
            exact_s = compute_quantile_s(whole, quantity, ratio)
            assert exact_s <= compute_quantile_s(lean, quantity, ratio) <= 1.1 * exact_s + 0.001
    with pytest.raises(InvalidInput, match="columns"):
        compute_attainment_by_time(lean)


def test_what_did_not_finish_took_for_ever() -> None:
    requests = Requests.from_columns([1.0, 2.0], [1000, 500_000], 10)
    result = simulate(make_scenario(requests, 10.0), make_static(1))
    assert compute_quantile_s(result, LatencyQuantity.TTFT, 1.0) == float("inf")
    assert result.attainment_ratio == 0.5


def test_attainment_by_time_adds_up_to_attainment() -> None:
    requests = make_changing_requests([(1.0, 600.0), (30.0, 600.0), (1.0, 500.0)])
    result = simulate(make_scenario(requests, 1700.0, initial=1), make_static(1))
    found = compute_attainment_by_time(result, 600.0)
    arrived = np.bincount(requests.arrival_ns // (600 * 10**9))
    assert found.shape == (3,)
    assert float((found * arrived).sum()) == pytest.approx(result.classes[0].met_all, abs=1e-6)
    assert found[1] < 0.5 < found[0]


def test_changes_and_reversals_are_counted() -> None:
    script = Scripted([(0.0, {KEY: 2}), (100.0, {KEY: 4}), (200.0, {KEY: 3}), (1500.0, {KEY: 5}), (1600.0, {KEY: 6})])
    result = simulate(make_scenario(make_requests(0.1, 2000.0), 2000.0, initial=2), script)
    assert count_changes(result) == 4
    assert count_reversals(result) == 1
    assert count_reversals(result, within_s=5000.0) == 2


def test_shortage_is_split_into_what_came_and_what_was_given_up() -> None:
    requests = make_changing_requests([(3.0, 600.0), (12.0, 600.0), (3.0, 300.0), (12.0, 300.0)], 100, 10)
    script = Scripted([(0.0, {KEY: 1}), (900.0, {KEY: 3}), (1260.0, {KEY: 1})])
    result = simulate(make_scenario(requests, 1800.0, initial=1), script)
    found = find_under_capacity(result, {KEY: 5.0})
    # 12 a second from 600 s on with one replica until 1006 s; from 1500 s on with one again, three until 1261 s.
    assert found.demand_s == 420.0
    assert found.own_action_s == 300.0


def test_recovery_counts_until_promises_are_kept_again_for_a_while() -> None:
    requests = make_changing_requests([(2.0, 600.0), (14.0, 900.0)], 1000, 200)
    script = Scripted([(0.0, {KEY: 1}), (630.0, {KEY: 3})])  # ready at 731 s
    result = simulate(make_scenario(requests, 1500.0, initial=1), script)
    recovery_s = find_recovery_s(result, 600.0)
    assert 131.0 <= recovery_s <= 300.0
    assert find_recovery_s(result, 0.0) == 0.0
    assert find_recovery_s(simulate(make_scenario(requests, 1500.0, initial=1), make_static(1)), 600.0) == math.inf
    assert compute_goodput_per_cost(result) == pytest.approx(result.classes[0].met_all / result.cost)


def test_a_step_series_is_the_integral_of_its_steps() -> None:
    series = StepSeries()
    for time_ns, value in ((0, 2), (10, 3), (10, 4), (25, 4), (30, 0)):
        series.append(time_ns, value)
    assert list(series.time_ns) == [0, 10, 30]
    assert series.integrate(40) == 2 * 10 + 4 * 20
    assert series.integrate_bins(15, 40) == [2 * 10 + 4 * 5, 4 * 15, 0]
    assert [series.get(time_ns) for time_ns in (0, 9, 10, 29, 30, 99)] == [2, 2, 4, 4, 0, 0]
