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
from tests.builders.outage_fleet import CHEAP, EngineName
from tests.builders.outage_stage import PERIOD_S, Stage, open_stage
from tests.builders.published import Published

HIGH_PER_S, DOUBLE_PER_S, LOW_PER_S = 2.0, 4.0, 0.4
SETTLED_PASSES = 3  # the calm window is watched once, and the fleet is as large as it is asked to be
FALLING_PASSES = 5  # enough for the numbers to follow a fall that is seen, see the first test
MAX_AGE_S = 120.0
OUTDATED_PASSES = 10  # until the decision is older than MAX_AGE_S
SILENT_PASSES = 8  # until an idle model goes to zero, where it may
CODES = {
    Fault.KILLED: {ReasonCode.SCRAPE_FAILED},
    Fault.FROZEN: {ReasonCode.FROZEN},
    Fault.HTML: {ReasonCode.BAD_PAGE},
    Fault.GARBAGE: {ReasonCode.BAD_PAGE},
    Fault.TRUNCATED: {ReasonCode.BAD_PAGE, ReasonCode.METRIC_MISSING},
    Fault.DRIPPING: {ReasonCode.SCRAPE_TIMEOUT},
}


QUICK_FAULTS = (Fault.KILLED, Fault.HTML, Fault.FROZEN, Fault.GARBAGE, Fault.KILLED, Fault.FROZEN)


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


@pytest.mark.parametrize("engine_name", ["vllm", "sglang"])
async def test_without_an_outage_the_numbers_follow_the_demand_down(engine_name: EngineName, tmp_path: Path) -> None:
    """Also when it leaves some replicas without any request: that is no outage."""
    async with open_stage(tmp_path, engine_name) as stage:
        await stage.play(SETTLED_PASSES, HIGH_PER_S)
        settled = sum(stage.last.numbers.values())
        await stage.play(FALLING_PASSES, 0.5 * LOW_PER_S)
        assert sum(stage.last.numbers.values()) < settled
        assert all(seen.fresh["status"] is True for seen in stage.seen[2:])


@pytest.mark.slow
@pytest.mark.parametrize("fault", CODES)
async def test_half_of_the_pages_gone_wrong_lower_nothing_hide_no_growth_and_it_recovers(
    fault: Fault, tmp_path: Path, log: CapturedLog
) -> None:
    await play_half_an_outage(fault, "vllm", tmp_path, log)


async def test_half_of_the_pages_frozen_are_told_from_replicas_without_work_on_pages_of_sglang_too(
    tmp_path: Path, log: CapturedLog
) -> None:
    await play_half_an_outage(Fault.FROZEN, "sglang", tmp_path, log)


async def play_half_an_outage(fault: Fault, engine_name: EngineName, folder: Path, log: CapturedLog) -> None:
    """Play an outage of half of the pages, growth and fall within it, and its end."""
    async with open_stage(folder, engine_name, timeout="4s" if fault is Fault.DRIPPING else "10s") as stage:
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


@pytest.mark.slow
async def test_pages_that_freeze_without_work_are_doubted_once_others_show_that_requests_are_due(
    tmp_path: Path,
) -> None:
    """Those of several processes show no sign of life: frozen in a quiet moment, they look like an idle server's."""
    async with open_stage(tmp_path, calm_window="90s") as stage:
        for pod in stage.fleet.pods.values():
            pod.page.has_process = False
        await stage.play(2 * SETTLED_PASSES + 1, HIGH_PER_S)
        settled = stage.last
        await stage.play(1, 0.0)
        assert stage.last.model["observed"]["variants"][0]["pods"][0]["running_requests"] == 0
        await stage.fleet.go_wrong(Fault.FROZEN, sorted(stage.fleet.pods)[::2])
        assert_never_lower(await stage.play(2 * FALLING_PASSES, HIGH_PER_S), settled)
        assert stage.last.fresh["status"] is False


async def test_without_any_page_the_numbers_stay_and_are_no_longer_given_to_those_who_act(tmp_path: Path) -> None:
    """The decision grows old; beyond its limit the external metrics API refuses it, while pages go on showing it."""
    async with open_stage(tmp_path) as stage:
        await stage.play(SETTLED_PASSES, HIGH_PER_S)
        settled = stage.last
        for fault, name in zip(QUICK_FAULTS, sorted(stage.fleet.pods), strict=False):
            await stage.fleet.go_wrong(fault, [name])
        outage = await stage.play(OUTDATED_PASSES, LOW_PER_S)
        assert {tuple(seen.numbers.items()) for seen in outage} == {tuple(settled.numbers.items())}
        assert {seen.demand_per_s for seen in outage} == {None}
        assert all(None not in seen.page_reasons.values() for seen in outage)
        ages_s = [seen.model["age_s"] for seen in outage]
        assert ages_s == [PERIOD_S * (number + 1) for number in range(OUTDATED_PASSES)]
        assert [seen.get_sample("variant_autoscaler_decision_age_seconds") for seen in outage] == ages_s
        assert [seen.statuses for seen in outage] == [{200 if age_s <= MAX_AGE_S else 503} for age_s in ages_s]
        status, body = stage.last.answers[CHEAP]
        assert (status, body["kind"], body["reason"], body["code"]) == (503, "Status", "ServiceUnavailable", 503)
        assert f"{ages_s[-1]:.0f} s old, the limit is {MAX_AGE_S:.0f} s" in body["message"]

        await stage.fleet.go_wrong(Fault.NONE, stage.fleet.pods)
        await stage.play(1, LOW_PER_S)
        assert (stage.last.statuses, stage.last.model["age_s"]) == ({200}, 0.0)
        await play_until_lower(stage, settled)
        assert stage.last.fresh["status"] is True


async def test_a_restart_in_an_outage_changes_no_number(tmp_path: Path) -> None:
    async with open_stage(tmp_path, has_state=True) as stage:
        await stage.play(SETTLED_PASSES, HIGH_PER_S)
        half = sorted(stage.fleet.pods)[::2]
        await stage.fleet.go_wrong(Fault.KILLED, half)
        await stage.play(1, DOUBLE_PER_S)
        before = stage.last
        await stage.stop_adapter()
        assert (await stage.start_adapter()).numbers == before.numbers
        assert_never_lower(await stage.play(FALLING_PASSES, LOW_PER_S), before)
        assert stage.last.fresh["status"] is False
        await stage.fleet.go_wrong(Fault.NONE, half)
        await play_until_lower(stage, before)


async def test_a_restart_after_every_page_is_gone_changes_no_number(tmp_path: Path) -> None:
    async with open_stage(tmp_path, has_state=True) as stage:
        await stage.play(SETTLED_PASSES, HIGH_PER_S)
        before = stage.last
        await stage.fleet.go_wrong(Fault.KILLED, stage.fleet.pods)
        await stage.stop_adapter()
        assert (await stage.start_adapter()).numbers == before.numbers
        await stage.play(2, LOW_PER_S)
        assert stage.last.numbers == before.numbers
        assert stage.last.model["age_s"] == 2 * PERIOD_S


async def test_a_broken_inventory_changes_no_number_and_growth_is_still_seen(tmp_path: Path, log: CapturedLog) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.play(SETTLED_PASSES, HIGH_PER_S)
        settled = stage.last
        stage.fleet.inventory_answer = "<html>502 Bad Gateway</html>"
        await stage.play(1, DOUBLE_PER_S)
        assert stage.last.capacity_per_s > DOUBLE_PER_S
        await stage.play(FALLING_PASSES, LOW_PER_S)
        assert_never_lower(stage.seen[-FALLING_PASSES - 1 :], settled)
        assert stage.last.fresh["status"] is False
        assert "inventory" in stage.last.fresh["reason"]["message"]
        stage.fleet.inventory_answer = None
        await play_until_lower(stage, stage.last)
    assert len(log.read("inventory_failed")) == len(log.read("inventory_renewed")) == 1


async def test_an_inventory_that_forgets_everybody_changes_no_number(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await stage.play(SETTLED_PASSES, HIGH_PER_S)
        settled, stage.fleet.inventory_answer = stage.last, '{"workloads": []}'
        forgotten = await stage.play(FALLING_PASSES, LOW_PER_S)
        assert [seen.numbers for seen in forgotten] == [settled.numbers] * FALLING_PASSES
        assert "is not in the inventory" in str(stage.last.model)
        stage.fleet.inventory_answer = None
        await play_until_lower(stage, settled)


@pytest.mark.parametrize("fault", [Fault.KILLED, Fault.FROZEN, Fault.HTML])
async def test_a_gateway_page_gone_wrong_lowers_nothing_while_pods_answer(
    fault: Fault, tmp_path: Path, log: CapturedLog
) -> None:
    """The pods tell what reaches them; what waits at the gateway nobody sees."""
    async with open_stage(tmp_path, has_gateway=True) as stage:
        await stage.play(SETTLED_PASSES, HIGH_PER_S)
        settled = stage.last
        assert settled.model["observed"]["arrivals"]["source"] == "gateway"
        await stage.fleet.gateway.go_wrong(fault)
        await stage.play(1, HIGH_PER_S)
        assert stage.last.numbers == settled.numbers
        assert stage.last.demand_per_s == pytest.approx(HIGH_PER_S, rel=0.05)
        assert stage.last.model["observed"]["arrivals"]["source"] == "http_requests"
        assert (stage.last.fresh["status"], stage.last.fresh["reason"]["code"]) == (False, ReasonCode.PARTIAL_DATA)
        assert f"gateway {stage.fleet.gateway.url}" in stage.last.fresh["reason"]["message"]
        await stage.play(1, DOUBLE_PER_S)
        assert stage.last.capacity_per_s > DOUBLE_PER_S
        await stage.play(FALLING_PASSES, LOW_PER_S)
        assert_never_lower(stage.seen[-FALLING_PASSES - 2 :], settled)
        await stage.fleet.gateway.go_wrong(Fault.NONE)
        await play_until_lower(stage, stage.last)
        assert stage.last.fresh["status"] is True
    assert all(set(line["unusable"]) <= CODES[fault] for line in log.read("pages_unusable"))
    assert log.read("pages_usable")


async def test_an_idle_model_goes_to_zero_only_while_somebody_could_see_it_asked_for(tmp_path: Path) -> None:
    async with open_stage(tmp_path, has_gateway=True) as stage:
        await stage.play(SETTLED_PASSES, LOW_PER_S)
        await stage.fleet.gateway.go_wrong(Fault.KILLED)
        outage = await stage.play(SILENT_PASSES, 0.0)
        assert all(sum(seen.numbers.values()) > 0 for seen in outage)
        await stage.fleet.gateway.go_wrong(Fault.NONE)
        await stage.play(SILENT_PASSES, 0.0)
        assert sum(stage.last.numbers.values()) == 0


@pytest.mark.parametrize("fault", [Fault.NONE, Fault.KILLED])
async def test_pods_replaced_under_the_same_name_change_no_number(fault: Fault, tmp_path: Path) -> None:
    """Their counters begin anew, which is neither a burst nor a fall; nor is it if their pages never come."""
    async with open_stage(tmp_path) as stage:
        await stage.play(SETTLED_PASSES, HIGH_PER_S)
        settled = stage.last
        for name in sorted(stage.fleet.pods)[::2]:
            deployment = stage.fleet.pods[name].deployment
            stage.fleet.remove_pod(name)
            await stage.fleet.add_pod(name, deployment, uid="2", age_s=0.0)
            await stage.fleet.go_wrong(fault, [name])
        replaced = await stage.play(FALLING_PASSES, HIGH_PER_S)
        assert [seen.numbers for seen in replaced] == [settled.numbers] * FALLING_PASSES
        if fault is Fault.NONE:
            assert [seen.demand_per_s for seen in replaced] == pytest.approx([HIGH_PER_S] * FALLING_PASSES, rel=0.1)
            assert stage.last.fresh["status"] is True
