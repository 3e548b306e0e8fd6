"""The product end to end, over HTTP and never late: pages are read, numbers published, an HPA follows, SLOs hold."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import aiohttp
import pytest

from adapter.demo.options import DemoOptions
from adapter.demo.request_log import Fate
from adapter.demo.scenarios import ScenarioName
from optimizer.domain import DecisionSettings, ModelDecision, ModelKey, ReasonCode
from tests.builders.demo_run import DemoRun, open_demo

SMALL, LARGE = "llama-8b", "llama-70b"
OPTIONS = DemoOptions(models=(SMALL,))
STARTUP_S, SCRAPE_S, SYNC_S = OPTIONS.startup_s, OPTIONS.scrape_interval_s, OPTIONS.hpa_sync_s


def make_options(scenario: ScenarioName, *models: str) -> DemoOptions:
    return DemoOptions(scenario=scenario, models=models)


def get_key(run: DemoRun) -> ModelKey:
    return run.decisions[0][1].key


def sum_capacity_per_s(decision: ModelDecision) -> float:
    """Return the capacity that the published numbers ask for [1/s], as a plan may use it."""
    ceiling_ratio = DecisionSettings().utilization_ceiling_ratio
    return sum(v.planned_replicas * (v.capacity_per_s.value or 0.0) * ceiling_ratio for v in decision.variants)


def sum_requested(run: DemoRun) -> list[int]:
    return [sum(counts) for counts in zip(*run.requested.values(), strict=True)]


def count_changes(numbers: Iterable[int]) -> int:
    return sum(before != after for before, after in pairwise(numbers))


def assert_nobody_was_turned_away(run: DemoRun) -> None:
    assert {fate for _, fate in run.process.log.fates} == {Fate.FINISHED}


async def test_every_page_shows_the_number_that_the_fleet_follows(tmp_path: Path) -> None:
    async with open_demo(make_options(ScenarioName.STEP, SMALL), tmp_path) as run:
        await run.run_to(50.0)
        urls, models = run.application.addresses, run.application.store.get().models
        numbers = {line.workload.name: line.planned_replicas for model in models for line in model.variants}
        assert run.decisions[-1][1].demand_per_s.is_known
        assert sum(numbers.values()) >= 2
        async with aiohttp.ClientSession() as session:
            for name, replicas in numbers.items():
                async with session.get(f"{urls['pages']}/metrics/default/{name}") as response:
                    assert float((await response.text()).split()[-1]) == replicas
            async with session.get(f"{urls['pages']}/v1/decisions") as response:
                lines = [line for model in (await response.json())["models"] for line in model["variants"]]
        assert {line["deployment"]: line["planned_replicas"] for line in lines} == numbers
        await run.run_to(50.0 + SYNC_S)
        requested = {ref.name: counts[-1] for ref, counts in run.requested.items()}
        assert requested == numbers
        assert run.compute_attainment() >= 0.99
        assert_nobody_was_turned_away(run)


@pytest.mark.slow
async def test_ramp_from_one_to_five_replicas_worth_and_back_keeps_the_slo(tmp_path: Path) -> None:
    async with open_demo(make_options(ScenarioName.RAMP, SMALL), tmp_path) as run:
        await run.run_to(1260.0)
        requested = sum_requested(run)
        assert run.compute_attainment() >= 0.99
        assert max(requested) >= 5
        assert requested[-1] < max(requested)
        assert_nobody_was_turned_away(run)


@pytest.mark.slow
async def test_a_doubled_rate_is_answered_whole_by_the_first_decision_that_sees_it(tmp_path: Path) -> None:
    async with open_demo(make_options(ScenarioName.STEP, SMALL), tmp_path) as run:
        await run.run_to(600.0)
        after = run.get_decisions(get_key(run), begin_s=300.0 + SCRAPE_S - 1.0)
        first = after[0][1]
        assert first.need_per_s is not None
        assert 1.0 <= sum_capacity_per_s(first) / first.need_per_s <= 1.15
        assert first.need_per_s >= 0.9 * max(decided.need_per_s or 0.0 for _, decided in after)
        assert run.compute_attainment(begin_s=300.0 + STARTUP_S + SCRAPE_S + SYNC_S) >= 0.99
        assert_nobody_was_turned_away(run)


@pytest.mark.slow
async def test_spikes_as_short_as_a_start_up_are_not_chased(tmp_path: Path) -> None:
    async with open_demo(make_options(ScenarioName.SPIKES, SMALL), tmp_path) as run:
        await run.run_to(300.0)
        period = round(STARTUP_S)
        for counts in run.requested.values():
            changes = [count_changes(counts[begin : begin + period + 1]) for begin in range(len(counts) - period)]
            assert max(changes) <= 2
        assert run.compute_attainment(begin_s=120.0) >= 0.99
        assert_nobody_was_turned_away(run)


@pytest.mark.slow
async def test_to_zero_in_silence_and_back_on_the_first_held_request(tmp_path: Path) -> None:
    async with open_demo(make_options(ScenarioName.ZERO, SMALL), tmp_path) as run:
        await run.run_to(780.0)
        assert sum_requested(run)[-1] == 0
        assert not any(workload.pods for workload in run.process.fleet.to_inventory().workloads)
        await run.run_to(900.0)
        codes = [decided.reason.code for _, decided in run.decisions]
        assert ReasonCode.SCALE_TO_ZERO in codes
        assert ReasonCode.WAKE_FROM_ZERO in codes
        held = [record for record in run.select(780.0) if record.held_s > 0.0]
        assert held
        assert max(record.held_s for record in held) <= SCRAPE_S + SYNC_S + STARTUP_S + 1.0
        assert run.compute_attainment(begin_s=780.0 + SCRAPE_S + SYNC_S + 2 * STARTUP_S) >= 0.99
        assert_nobody_was_turned_away(run)


@pytest.mark.slow
async def test_twenty_busy_minutes_of_a_real_trace_on_two_models_keep_the_slo(tmp_path: Path) -> None:
    async with open_demo(make_options(ScenarioName.TRACE, LARGE, SMALL), tmp_path) as run:
        await run.run_to(1200.0)
        assert run.compute_attainment() >= 0.99
        assert {record.key for record in run.select()} == {model.key for _, model in run.decisions}
        assert_nobody_was_turned_away(run)
