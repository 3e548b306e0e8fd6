"""Every policy but ours live: over HTTP, chosen in the configuration, its replicas follow traffic up and down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapter.demo.options import DemoOptions
from adapter.demo.request_log import Fate
from adapter.demo.scenarios import ScenarioName
from optimizer import BUILT_IN_POLICIES
from optimizer.domain import ReasonCode
from tests.builders.demo_run import DemoRun, open_demo

TOP_S, FOOT_S = 140.0, 250.0


def make_options(policy: str) -> DemoOptions:
    return DemoOptions(
        scenario=ScenarioName.HILL,
        models=("llama-8b",),
        policy=policy,
        startup_s=5.0,
        hpa_sync_s=5.0,
        scrape_interval_s=5.0,
        calm_window_s=20.0,
    )


def sum_requested(run: DemoRun) -> list[int]:
    return [sum(counts) for counts in zip(*run.requested.values(), strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize("policy", sorted(BUILT_IN_POLICIES.keys() - {"slo"}))
async def test_replicas_follow_traffic_up_a_hill_and_down(policy: str, tmp_path: Path) -> None:
    async with open_demo(make_options(policy), tmp_path) as run:
        told = json.loads((tmp_path / "config.yaml").read_text(encoding="utf-8"))["models"][0]
        assert told["policy"] == policy
        assert told["policy_options"]
        await run.run_to(FOOT_S + 80.0)
        requested = sum_requested(run)
        begin, top = requested[5], max(requested[int(TOP_S / 2) : int(TOP_S) + 60])
        assert top >= begin + 2
        assert min(requested[int(FOOT_S) :]) <= top - 2
        assert run.compute_attainment() >= 0.9
        assert {fate for _, fate in run.process.log.fates} == {Fate.FINISHED}
        codes = {decided.reason.code for _, decided in run.decisions}
        assert ReasonCode.POLICY_FAILED not in codes
