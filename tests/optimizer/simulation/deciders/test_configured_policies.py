"""The policies `kthena` and `skyserve` as the product runs them: asked by `decide`, shown pages of a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from optimizer.domain import ReasonCode, Settings
from optimizer.simulation.cluster import simulate
from optimizer.simulation.deciders.slo import OurDecider, make_slo
from tests.builders.simulated_clusters import KEY, make_changing_requests, make_scenario

RISE = make_changing_requests([(1.0, 120.0), (12.0, 240.0), (1.0, 240.0)], seed=4)
SCENARIO = make_scenario(RISE, 600.0)
IN_FLIGHT = {"series": ["vllm:num_requests_running", "vllm:num_requests_waiting"]}
KTHENA: dict[str, Any] = {
    "metrics": [{"name": "in_flight", "target_value": 10}],
    "metric_sources": {"in_flight": IN_FLIGHT},
    "behavior": {"scale_down": {"stabilization_window": "1m"}},
}
SKYSERVE: dict[str, Any] = {"target_qps_per_replica": {"H100:1": 4.0}, "upscale_delay": "15s", "downscale_delay": "1m"}


def make_decider(policy: str, options: Mapping[str, Any]) -> OurDecider:
    model = replace(SCENARIO.models[0], policy=policy, policy_options=options, max_replicas=9)
    return make_slo(Settings((model,), SCENARIO.accelerators))


@pytest.mark.parametrize("policy, options", [("kthena", KTHENA), ("skyserve", SKYSERVE)])
def test_it_follows_a_rise_and_a_fall(policy: str, options: Mapping[str, Any]) -> None:
    decider = make_decider(policy, options)
    steps = simulate(SCENARIO, decider).list_replica_steps(KEY)
    most = max(count for _, count in steps)
    assert 3 <= most <= 9
    assert steps[0][1] == 1
    assert next(time_s for time_s, count in steps if count > 1) <= 240.0
    assert steps[-1][1] < most
    assert f"policy {policy} asks for" in decider.decisions[0].reason.message


def test_kthena_without_its_series_holds_and_says_which_is_missing() -> None:
    sources = {"in_flight": {"series": "vllm:no_such_series"}}
    decider = make_decider("kthena", {**KTHENA, "metric_sources": sources})
    assert simulate(SCENARIO, decider).list_replica_steps(KEY) == [(0.0, 1)]
    reason = decider.decisions[0].reason
    assert reason.code is ReasonCode.METRIC_MISSING
    assert "no pod of a tells in_flight" in reason.message
