"""The peer's rules against its published cases; what the product decides of them stands with the policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from optimizer.policy.skyserve.hysteresis import Waiting, get_decision_interval_s, step_waiting
from optimizer.policy.skyserve.launches import FallbackRule, compute_fallback, compute_scale_step
from optimizer.policy.skyserve.rates import get_autoscaler_rate_per_s, get_router_rate_per_s
from optimizer.policy.skyserve.replicas import PeerReplica, Status, choose_removed
from optimizer.policy.skyserve.router import choose_least_normalized, compute_normalized_loads_s
from optimizer.policy.skyserve.targets import compute_instance_aware_target, compute_plain_target, count_arrivals
from tests.builders.vector_cases import list_run_cases
from tests.optimizer.policy.skyserve import test_skyserve_options, test_skyserve_policy

VECTORS = Path(__file__).parents[3] / "data" / "vectors" / "skyserve.json"
CASES: list[dict[str, Any]] = json.loads(VECTORS.read_text())["cases"]


def find_cases(function: str, *bases: str) -> list[Any]:
    chosen = [case for case in CASES if case["name"].split("/")[0] == function]
    chosen = [case for case in chosen if case["name"].split("/")[1] in (bases or ("peer_test", "derived", "read"))]
    assert chosen
    return [pytest.param(case["input"], case["expected"], id=case["name"]) for case in chosen]


def to_replicas(rows: list[dict[str, Any]]) -> list[PeerReplica]:
    return [
        PeerReplica(row["accelerator"], Status(row["status"]), row.get("id", index), row.get("version", 1))
        for index, row in enumerate(rows)
    ]


@pytest.mark.parametrize("given, expected", find_cases("request_rate_target"))
def test_one_rate_gives_the_published_target(given: dict[str, Any], expected: dict[str, Any]) -> None:
    rate_per_s = given["requests_in_60_s"] / 60
    target = compute_plain_target(rate_per_s, given["target_rate_per_s"], given["min_replicas"], given["max_replicas"])
    assert target == expected["target_replicas"]


@pytest.mark.parametrize("given, expected", find_cases("instance_aware_target"))
def test_a_rate_per_accelerator_gives_the_published_target(given: dict[str, Any], expected: dict[str, Any]) -> None:
    target = compute_instance_aware_target(
        given["arrival_rate_per_s"],
        to_replicas(given["replicas"]),
        given["target_rate_per_s"],
        given["min_replicas"],
        given["max_replicas"],
    )
    assert target == expected["target_replicas"]


@pytest.mark.parametrize("given, expected", find_cases("hysteresis"))
def test_wishes_wait_as_published(given: dict[str, Any], expected: dict[str, Any]) -> None:
    waiting, seen = Waiting(given["start_replicas"]), []
    for wish in given["computed_replicas"]:
        waiting = step_waiting(waiting, wish, given["upscale_delay_s"], given["downscale_delay_s"])
        seen.append(waiting.target_replicas)
    assert seen == expected["target_replicas"]


@pytest.mark.parametrize("given, expected", find_cases("decision_interval"))
def test_ticks_are_as_far_apart_as_published(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert get_decision_interval_s(given["final_target_replicas"]) == expected["interval_s"]


@pytest.mark.parametrize("given, expected", find_cases("scale_step"))
def test_launches_and_removes_as_published(given: dict[str, Any], expected: dict[str, Any]) -> None:
    step = compute_scale_step(
        given["target_replicas"], given["overprovision_replicas"], given["latest_nonterminal_replicas"]
    )
    found = (step.final_target_replicas, step.launch_replicas, step.remove_replicas)
    assert found == tuple(expected[key] for key in ("final_target_replicas", "launch_replicas", "remove_replicas"))


@pytest.mark.parametrize("given, expected", find_cases("spot_fallback"))
def test_on_demand_stands_in_for_spot_as_published(given: dict[str, Any], expected: dict[str, Any]) -> None:
    spot, ondemand = compute_fallback(
        given["target_replicas"],
        given["overprovision_replicas"],
        FallbackRule(given["base_ondemand_replicas"], given["dynamic"]),
        given["spot_ready_replicas"],
    )
    assert spot - given["spot_nonterminal_replicas"] == expected["spot_change_replicas"]
    assert ondemand - given["ondemand_nonterminal_replicas"] == expected["ondemand_change_replicas"]


@pytest.mark.parametrize("given, expected", find_cases("target_rate_lookup"))
def test_rates_are_looked_up_as_published(given: dict[str, Any], expected: dict[str, Any]) -> None:
    key = (given["accelerator"], given["target_rate_per_s"])
    assert get_autoscaler_rate_per_s(*key) == expected["autoscaler_rate_per_s"]
    assert get_router_rate_per_s(*key) == expected["router_rate_per_s"]


@pytest.mark.parametrize("given, expected", find_cases("removal_order"))
def test_replicas_are_removed_in_the_published_order(given: dict[str, Any], expected: dict[str, Any]) -> None:
    rates_per_s = given["target_rate_per_s"] if given["rule"] == "instance_aware" else None
    removed = choose_removed(to_replicas(given["replicas"]), given["remove_replicas"], rates_per_s)
    assert [replica.id for replica in removed] == expected["replica_ids"]


@pytest.mark.parametrize("given, expected", find_cases("route"))
def test_routes_as_published(given: dict[str, Any], expected: dict[str, Any]) -> None:
    urls = [row["url"] for row in given["replicas"]]
    loads = [row["in_flight_requests"] for row in given["replicas"]]
    rates_per_s = [get_router_rate_per_s(row["accelerator"], given["target_rate_per_s"]) for row in given["replicas"]]
    chosen = choose_least_normalized(loads, rates_per_s)
    assert (None if chosen is None else urls[chosen]) == expected["url"]
    normalized_s = dict(zip(urls, compute_normalized_loads_s(loads, rates_per_s), strict=True))
    assert normalized_s == pytest.approx(expected["normalized_load_s"], rel=1e-12)


@pytest.mark.parametrize("given, expected", find_cases("route_sequence"))
def test_a_sequence_is_routed_as_published(given: dict[str, Any], expected: dict[str, Any]) -> None:
    urls = [row["url"] for row in given["replicas"]]
    rates_per_s = [get_router_rate_per_s(row["accelerator"], given["target_rate_per_s"]) for row in given["replicas"]]
    loads, chosen = [0] * len(urls), []
    for _ in range(given["arrivals_requests"]):
        place = choose_least_normalized(loads, rates_per_s)
        assert place is not None
        loads[place] += 1
        chosen.append(urls[place])
    assert chosen == expected["urls"]
    assert dict(zip(urls, loads, strict=True)) == expected["in_flight_requests"]


@pytest.mark.parametrize("given, expected", find_cases("timestamp_window"))
def test_arrivals_are_counted_as_published(given: dict[str, Any], expected: dict[str, Any]) -> None:
    count = count_arrivals(given["arrival_t_s"], given["now_s"], given["window_s"])
    assert count == expected["requests"]
    assert count / given["window_s"] == pytest.approx(expected["arrival_rate_per_s"])


def test_every_published_case_is_run() -> None:
    run = list_run_cases(globals(), test_skyserve_options, test_skyserve_policy)
    assert run == {case["name"] for case in CASES}
    assert len({case["name"] for case in CASES}) == len(CASES) == 84
