"""Outages told over HTTP: pages that die, freeze, turn to garbage or drip, before engines that go on serving.

The adapter is the one that `run` composes; requests are real ones through the router; time is the stage's.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from optimizer.domain import ReasonCode
from tests.builders.captured_log import CapturedLog, capture_log
from tests.builders.faulty_page import Fault
from tests.builders.outage_stage import Stage, open_stage
from tests.builders.published import Published

HIGH_PER_S, DOUBLE_PER_S, LOW_PER_S = 2.0, 4.0, 0.4
SETTLED_PASSES = 3  # the calm window is watched once, and the fleet is as large as it is asked to be
FALLING_PASSES = 5  # enough for the numbers to follow a fall that is seen, see the first test
CODES = {
    Fault.KILLED: {ReasonCode.SCRAPE_FAILED},
    Fault.FROZEN: {ReasonCode.FROZEN},
    Fault.HTML: {ReasonCode.BAD_PAGE},
    Fault.GARBAGE: {ReasonCode.BAD_PAGE},
    Fault.TRUNCATED: {ReasonCode.BAD_PAGE, ReasonCode.METRIC_MISSING},
    Fault.DRIPPING: {ReasonCode.SCRAPE_TIMEOUT},
}


@pytest.fixture
def log() -> Iterator[CapturedLog]:
    with capture_log() as captured:
        yield captured


def assert_never_lower(seen: list[Published], than: Published) -> None:
    """Fail if any number falls, from `than` on."""
    for before, after in zip([than, *seen], seen, strict=False):
        for deployment, replicas in before.numbers.items():
            assert after.numbers[deployment] >= replicas, (before.numbers, after.numbers, after.model["reason"])


async def play_until_lower(stage: Stage, than: Published) -> None:
    """Play low traffic until fewer replicas are published."""
    for _ in range(3 * FALLING_PASSES):
        await stage.play(1, LOW_PER_S)
        if sum(stage.last.numbers.values()) < sum(than.numbers.values()):
            return
    pytest.fail(f"nothing was released: {stage.last.model['reason']}")


async def test_without_an_outage_the_numbers_follow_the_demand_down(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.play(SETTLED_PASSES, HIGH_PER_S)
        settled = sum(stage.last.numbers.values())
        await stage.play(FALLING_PASSES, LOW_PER_S)
        assert sum(stage.last.numbers.values()) < settled
        assert stage.last.fresh["status"] is True


@pytest.mark.slow
@pytest.mark.parametrize("fault", CODES)
async def test_half_of_the_pages_gone_wrong_lower_nothing_hide_no_growth_and_it_recovers(
    fault: Fault, tmp_path: Path, log: CapturedLog
) -> None:
    async with open_stage(tmp_path, timeout="1s" if fault is Fault.DRIPPING else "10s") as stage:
        await stage.play(SETTLED_PASSES, HIGH_PER_S)
        settled = stage.last
        assert settled.fresh["status"] is True
        half = sorted(stage.fleet.pods)[::2]

        await stage.fleet.go_wrong(fault, half)
        await stage.play(1, HIGH_PER_S)
        assert_reasons_are_visible(stage.last, fault, half)
        (doubled,) = await stage.play(1, DOUBLE_PER_S)
        assert doubled.capacity_per_s > DOUBLE_PER_S
        outage = await stage.play(FALLING_PASSES, LOW_PER_S)
        assert_never_lower(stage.seen[-FALLING_PASSES - 2 :], settled)
        assert any(seen.model["variants"][0]["hold"]["code"] == ReasonCode.PARTIAL_DATA for seen in outage)

        await stage.fleet.go_wrong(Fault.NONE, half)
        await play_until_lower(stage, stage.last)
        assert set(stage.last.page_reasons.values()) == {None}
        assert stage.last.get_sample("variant_autoscaler_observed_pods", page="usable") == 6
        assert stage.last.fresh["status"] is True
    assert_log_tells(log, fault)


def assert_reasons_are_visible(seen: Published, fault: Fault, half: list[str]) -> None:
    """Fail unless the decisions and the metrics say which pages are unusable, why, and what that does."""
    codes = {name: code for name, code in seen.page_reasons.items() if code is not None}
    assert set(codes) == set(half)
    assert set(codes.values()) <= CODES[fault]
    assert (seen.fresh["status"], seen.fresh["reason"]["code"]) == (False, ReasonCode.PARTIAL_DATA)
    assert seen.model["reason"]["code"] == ReasonCode.PARTIAL_DATA
    assert {entry["hold"]["code"] for entry in seen.model["variants"]} == {ReasonCode.PARTIAL_DATA}
    unusable = sum(seen.get_sample("variant_autoscaler_observed_pods", page=code) for code in CODES[fault])
    assert (unusable, seen.get_sample("variant_autoscaler_observed_pods")) == (3, 6)
    assert sum(seen.get_sample("variant_autoscaler_scrapes_total", outcome=code) for code in CODES[fault]) == 3
    assert 'type="Fresh"' in seen.metrics
    assert seen.get_sample("variant_autoscaler_condition", type="Fresh", reason="PartialData") == 0
    assert seen.get_sample("variant_autoscaler_held", reason="PartialData") == 2


def assert_log_tells(log: CapturedLog, fault: Fault) -> None:
    """Fail unless the log says when pages went wrong and why, what became of the decisions, and when it was over."""
    unusable = log.read("pages_unusable")
    assert sum(unusable[0]["unusable"].values()) == 3
    assert {code for line in unusable for code in line["unusable"]} <= CODES[fault]
    assert log.read("pages_usable")
    assert any("PartialData" in line["models"][0]["reason"] for line in log.read("cycle"))
    assert not log.read("pass_failed")
