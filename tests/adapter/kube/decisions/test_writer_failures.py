"""An API that refuses, forgets or does not answer: what can be written is, and nobody is told more than that."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from adapter.errors import NotFound
from adapter.kube.client import KubeClient
from adapter.kube.decisions.announcer import LONGEST_S
from adapter.kube.decisions.many import GIVE_UP_AFTER
from adapter.kube.resource import VARIANT_DECISIONS
from optimizer.domain import ModelDecision
from tests.builders.captured_log import capture_log
from tests.builders.decision_objects import OURS, Replica, make_decision, open_replica
from tests.builders.decisions import make_model_decision, make_variant_decision
from tests.builders.fake_kube_api import FakeKubeApi
from tests.builders.quiet_clock import START_S, QuietClock


def make_pair(replicas: int, decided_at_s: float) -> ModelDecision:
    lines = [make_variant_decision(name, replicas, model_id="pair") for name in ("a", "b")]
    return make_model_decision(*lines, decided_at_s=decided_at_s)


async def test_somebody_who_was_faster_is_looked_at_before_writing(replica: Replica) -> None:
    await replica.write(make_decision("llama", 3, replica.clock.now_s()))
    await replica.settle()
    replica.api.silence_watches()
    replica.api.change(VARIANT_DECISIONS, "prod", "llama-deployment", {"metadata": {"labels": {"team": "a"}}})
    report = await replica.write(make_decision("llama", 4, replica.clock.now_s()))
    assert report.failures == ()
    item = replica.get_object("llama-deployment")
    assert (item["status"]["plannedReplicas"], item["metadata"]["labels"]["team"]) == (4, "a")


@pytest.mark.parametrize("is_blind", [True, False])
async def test_a_replica_that_no_longer_leads_turns_no_number_back(
    replica: Replica, kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock, is_blind: bool
) -> None:
    await replica.write(make_decision("llama", 3, quiet_clock.now_s()))
    await replica.settle(15.0)
    late = make_decision("llama", 4, quiet_clock.now_s())  # decided, and then it sleeps
    await replica.settle(15.0)
    if is_blind:
        kube_api.silence_watches()
    async with open_replica(kube_api, kube_client, quiet_clock) as leader:
        await leader.write(make_decision("llama", 5, quiet_clock.now_s()))
        await leader.settle()
        report = await replica.write(late)
        assert len(report.failures) == 1
        assert replica.get_object("llama-deployment")["status"]["plannedReplicas"] == 5
        await leader.settle()
        assert leader.shown["llama"][0] == 5


async def test_a_leader_whose_clock_is_behind_waits_for_one_pass(
    replica: Replica, kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    await replica.write(make_decision("llama", 3, quiet_clock.now_s() + 3600.0))
    async with open_replica(kube_api, kube_client, quiet_clock) as leader:
        assert len((await leader.write(make_decision("llama", 5, quiet_clock.now_s()))).failures) == 1
        assert (await leader.write(make_decision("llama", 5, quiet_clock.now_s()))).failures == ()
        assert leader.get_object("llama-deployment")["status"]["plannedReplicas"] == 5


async def test_a_part_that_cannot_be_written_is_named_stale_and_written_later(replica: Replica) -> None:
    await replica.write(make_pair(1, START_S))
    await replica.settle(15.0)
    assert replica.shown == {"a": (1, START_S), "b": (1, START_S)}
    replica.api.fail(500, verb="update", plural="variantdecisions", times=1)
    report = await replica.write(make_pair(2, replica.clock.now_s()))
    assert (len(report.failures), report.written) == (1, 1)
    await replica.settle(14.0)
    assert sorted(replica.shown.values()) == [(1, START_S), (2, START_S)]  # in part older than it was decided
    report = await replica.write(make_pair(2, replica.clock.now_s()))
    assert (report.failures, report.written, report.unchanged) == ((), 1, 1)
    now_s = replica.clock.now_s()
    await replica.settle()
    assert replica.shown == {"a": (2, now_s), "b": (2, now_s)}


async def test_nothing_looks_younger_than_it_is_while_nothing_can_be_written(replica: Replica) -> None:
    await replica.write(make_decision("llama", 1, START_S), make_decision("qwen", 1, START_S))
    replica.api.fail(403, verb="update", plural="variantdecisions")
    for _ in range(3):
        await replica.settle(15.0)
        now_s = replica.clock.now_s()
        report = await replica.write(make_decision("llama", 2, now_s), make_decision("qwen", 1, now_s))
        assert len(report.failures) == 1
        await replica.settle()
        assert replica.shown == {"llama": (1, START_S), "qwen": (1, now_s)}


async def test_no_heartbeat_makes_everything_grow_old(replica: Replica) -> None:
    await replica.write(make_decision("llama", 1, START_S))
    replica.api.fail(500, plural="configmaps", verb="patch")
    await replica.settle(15.0)
    report = await replica.write(make_decision("llama", 1, replica.clock.now_s()))
    assert len(report.failures) == 1
    await replica.settle()
    assert replica.shown == {"llama": (1, START_S)}


async def test_an_api_that_does_not_answer_is_not_asked_a_thousand_times(replica: Replica) -> None:
    models = [make_decision(f"m{index}", 1, START_S) for index in range(200)]
    replica.api.fail(503, plural="variantdecisions")
    replica.api.calls.clear()
    report = await replica.write(*models)
    assert len(report.failures) == 200
    assert replica.count_writes() < 2 * GIVE_UP_AFTER
    replica.api.heal()
    assert (await replica.write(*models)).failures == ()


async def test_what_cannot_be_written_is_logged_when_it_begins_and_when_it_ends(replica: Replica) -> None:
    model = make_decision("llama", 1, START_S)
    replica.api.fail(403, plural="variantdecisions", verb="create", times=3)
    with capture_log() as log:
        for _ in range(5):
            await replica.write(model)
    (begin,) = log.read("decisions_not_written")
    assert "forbidden" in begin["error"] or "403" in begin["error"]
    assert len(log.read("decisions_written_again")) == 1


async def test_a_missing_crd_is_a_failure_and_no_end(kube_client: KubeClient, replica: Replica) -> None:
    replica.api.uninstall(VARIANT_DECISIONS)
    report = await replica.write(make_decision("llama", 1, START_S))
    assert len(report.failures) == 1
    replica.api.install(VARIANT_DECISIONS)
    assert (await replica.write(make_decision("llama", 1, START_S))).failures == ()


async def test_held_decisions_are_as_old_as_they_are(replica: Replica) -> None:
    await replica.write(make_decision("llama", 1, START_S), make_decision("qwen", 1, START_S))
    for _ in range(3):
        await replica.settle(15.0)
        now_s = replica.clock.now_s()
        await replica.write(make_decision("llama", 1, START_S), make_decision("qwen", 1, now_s))
    await replica.settle()
    assert replica.shown == {"llama": (1, START_S), "qwen": (1, now_s)}


async def test_a_pass_in_which_everything_is_held_makes_nothing_younger(replica: Replica) -> None:
    await replica.write(make_decision("llama", 1, START_S))
    await replica.settle(60.0)
    await replica.write(make_decision("llama", 1, START_S))
    await replica.settle()
    assert replica.shown == {"llama": (1, START_S)}


async def test_an_llm_that_is_not_decided_about_grows_old(replica: Replica) -> None:
    llama, qwen = (make_decision(name, 1, START_S) for name in ("llama", "qwen"))
    await replica.write(llama, qwen)
    await replica.settle(15.0)
    now_s = replica.clock.now_s()
    await replica.write(replace(qwen, decided_at_s=now_s))
    await replica.settle()
    assert replica.shown == {"llama": (1, START_S), "qwen": (1, now_s)}


async def test_nothing_is_recorded_about_a_workload_of_another_installation(replica: Replica) -> None:
    assert replica.watch.installation == OURS
    with pytest.raises(NotFound, match="no decision of ours"):
        await replica.writer.record_zeroed(make_decision("x", 1, 0.0).variants[0].workload, "us")


async def test_events_that_nobody_takes_hold_up_no_pass(replica: Replica) -> None:
    models = [make_decision(f"m{index}", 1, START_S) for index in range(30)]
    await replica.write(*models)
    replica.api.hang(plural="events")
    changed = [make_decision(f"m{index}", 2, START_S) for index in range(30)]
    with capture_log() as log:
        writing = asyncio.create_task(replica.write(*changed))
        await replica.settle(LONGEST_S + 1.0)
        assert (await writing).written == 30
    (line,) = log.read("events_left_out")
    assert line["wanted"] == 30
    assert {number for number, _ in replica.shown.values()} == {2}
