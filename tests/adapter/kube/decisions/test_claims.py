"""Two installations in one cluster: the older claim works, the younger says why it may not, the dead leave theirs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from adapter.kube.client import KubeClient
from adapter.kube.decisions.claims import CLAIM_ENDS_S
from adapter.kube.decisions.decode import decode_installation
from adapter.kube.decisions.heartbeat import HEARTBEAT_NAME
from adapter.kube.resource import CONFIG_MAPS, EVENTS, VARIANT_DECISIONS
from optimizer.domain import ModelDecision, ReasonCode
from tests.builders.decision_objects import OURS, THEIRS, Replica, make_decision, make_view, open_replica
from tests.builders.fake_kube_api import FakeKubeApi
from tests.builders.quiet_clock import QuietClock


@pytest.fixture
async def rival(kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock) -> AsyncIterator[Replica]:
    async with open_replica(kube_api, kube_client, quiet_clock, THEIRS) as opened:
        yield opened


async def decide(replica: Replica, number: int, *names: str) -> tuple[str, ...]:
    """Let `replica` decide about `names` and return of which it was refused."""
    decisions = [make_decision(name, number, replica.clock.now_s()) for name in names]
    report = await replica.write(*decisions)
    assert report.failures == ()
    await replica.settle()
    return tuple(trouble.workload.name for trouble in report.refused)


async def test_the_older_claim_keeps_working_and_the_younger_is_refused(replica: Replica, rival: Replica) -> None:
    assert await decide(rival, 3, "llama") == ()
    assert await decide(replica, 7, "llama", "qwen") == ("llama",)
    assert replica.get_object("llama-deployment")["status"]["plannedReplicas"] == 3
    assert list(replica.shown) == ["qwen"]
    assert list(rival.shown) == ["llama"]
    (event,) = replica.api.list(EVENTS)
    assert (event["reason"], event["type"]) == ("ConflictingClaim", "Warning")
    assert "installation other/rival decides about it already" in event["note"]
    assert await decide(rival, 4, "llama") == ()
    assert rival.shown["llama"][0] == 4


async def test_the_refused_claim_is_an_object_of_its_own_that_says_why(replica: Replica, rival: Replica) -> None:
    await decide(rival, 3, "llama")
    await decide(replica, 7, "llama")
    await decide(replica, 8, "llama")
    (refusal,) = [item for item in replica.api.list(VARIANT_DECISIONS) if decode_installation(item) == OURS]
    assert refusal["spec"]["workloadRef"]["name"] == "llama"
    assert (refusal["spec"]["modelId"], refusal["spec"]["accelerator"]) == ("model-llama", "L40S")
    assert "plannedReplicas" not in refusal["status"]
    (accepted,) = refusal["status"]["conditions"]
    assert (accepted["type"], accepted["status"], accepted["reason"]) == ("Accepted", "False", "ConflictingClaim")
    replica.api.calls.clear()
    await decide(replica, 9, "llama")
    assert replica.api.count_writes() == {"configmaps": 1}  # nothing new to say


async def test_a_claim_without_a_sign_of_life_is_inherited(replica: Replica, rival: Replica) -> None:
    await decide(rival, 3, "llama")
    await replica.settle(CLAIM_ENDS_S - 10.0)
    assert await decide(replica, 7, "llama") == ("llama",)
    await replica.settle(40.0)
    assert await decide(replica, 7, "llama") == ()
    assert decode_installation(replica.get_object("llama-deployment")) == OURS
    assert replica.shown["llama"][0] == 7
    assert replica.list_names() == ["llama-deployment"]  # the refusal is gone
    assert await decide(rival, 2, "llama") == ("llama",)
    assert rival.shown == {}


async def test_a_claim_lives_as_long_as_the_heartbeat_though_nothing_changes(replica: Replica, rival: Replica) -> None:
    for _ in range(4):
        await decide(rival, 3, "llama")
        await replica.settle(CLAIM_ENDS_S / 2)
        assert await decide(replica, 7, "llama") == ("llama",)


async def test_an_installation_whose_data_are_missing_keeps_its_claims(replica: Replica, rival: Replica) -> None:
    decided_at_s = rival.clock.now_s()
    for _ in range(4):
        await rival.write(make_decision("llama", 3, decided_at_s))  # held: nothing new can be decided
        await replica.settle(CLAIM_ENDS_S / 2)
        assert await decide(replica, 7, "llama") == ("llama",)


async def test_an_installation_that_is_gone_with_its_heartbeat_loses_its_claims_too(
    replica: Replica, rival: Replica
) -> None:
    await decide(rival, 3, "llama")
    replica.api.remove(CONFIG_MAPS, THEIRS.namespace, HEARTBEAT_NAME)
    assert await decide(replica, 7, "llama") == ("llama",)
    await replica.settle(CLAIM_ENDS_S + 30.0)
    assert await decide(replica, 7, "llama") == ()


@pytest.mark.parametrize("code", [403, 500])
async def test_a_claim_stands_while_nobody_can_tell(replica: Replica, rival: Replica, code: int) -> None:
    await decide(rival, 3, "llama")
    replica.api.fail(code, verb="get", plural="configmaps")
    await replica.settle(10 * CLAIM_ENDS_S)
    report = await replica.write(make_decision("llama", 7, replica.clock.now_s()))
    (trouble,) = report.refused
    assert trouble.reason.code is ReasonCode.CONFLICTING_CLAIM
    assert trouble.is_claim_refused
    assert "cannot be told" in trouble.reason.message
    assert "VariantDecision is deleted" in trouble.remedy


async def test_a_heartbeat_that_cannot_be_read_proves_nothing(replica: Replica, rival: Replica) -> None:
    await decide(rival, 3, "llama")
    replica.api.change(CONFIG_MAPS, THEIRS.namespace, HEARTBEAT_NAME, {"data": {THEIRS.name: "{"}})
    await replica.settle(10 * CLAIM_ENDS_S)
    assert await decide(replica, 7, "llama") == ("llama",)


async def test_of_two_that_begin_at_once_one_wins_and_both_know(replica: Replica, rival: Replica) -> None:
    replica.api.silence_watches()
    assert await decide(rival, 3, "llama") == ()
    assert await decide(replica, 7, "llama") == ("llama",)


async def test_deleting_the_object_ends_a_claim_at_once(replica: Replica, rival: Replica) -> None:
    await decide(rival, 3, "llama")
    assert await decide(replica, 7, "llama") == ("llama",)
    replica.api.remove(VARIANT_DECISIONS, "prod", "llama-deployment")
    await replica.settle()
    assert await decide(replica, 7, "llama") == ()
    assert await decide(rival, 3, "llama") == ("llama",)


async def test_the_record_of_who_zeroed_is_inherited(replica: Replica, rival: Replica) -> None:
    await decide(rival, 0, "llama")
    await rival.writer.record_zeroed(make_decision("llama", 0, 0.0).variants[0].workload, "rival")
    await replica.settle(CLAIM_ENDS_S + 60.0)
    await decide(replica, 0, "llama")
    assert replica.get_object("llama-deployment")["status"]["zeroedBy"] == "rival"


async def test_who_looks_first_knows_whose_workloads_are_not_his(replica: Replica, rival: Replica) -> None:
    await decide(rival, 3, "llama")
    await decide(replica, 7, "qwen")
    workloads = [make(name).variants[0].workload for name in ("llama", "qwen", "new")]
    (trouble,) = await replica.writer.find_refused(workloads)
    assert (trouble.workload.name, trouble.reason.code) == ("llama", ReasonCode.CONFLICTING_CLAIM)
    assert trouble.is_claim_refused
    (trouble,) = await rival.writer.find_refused(workloads)
    assert trouble.workload.name == "qwen"
    await decide(replica, 7, "qwen")
    await replica.settle(CLAIM_ENDS_S + 40.0)
    assert await replica.writer.find_refused(workloads) == ()


async def test_a_workload_left_out_of_passes_since_it_is_not_ours_keeps_its_refusal(
    replica: Replica, rival: Replica
) -> None:
    await decide(rival, 3, "llama")
    ours, theirs = make("qwen"), make("llama")
    for number in range(4):
        facts = make_view((ours, theirs))
        refusals = await replica.writer.find_refused(entry.workload for entry in facts.variants)
        report = await replica.write(ours, view=replace(facts, troubles=refusals))
        await replica.settle()
        assert report.refused == ()
        assert (report.written, report.deleted) == ((2, 0) if number == 0 else (0, 0))
        (refusal,) = [item for item in replica.api.list(VARIANT_DECISIONS) if "plannedReplicas" not in item["status"]]
        assert refusal["status"]["conditions"][0]["reason"] == "ConflictingClaim"
    (event,) = replica.api.list(EVENTS)
    assert (event["reason"], event["regarding"]["name"]) == ("ConflictingClaim", "llama")
    await rival.settle(CLAIM_ENDS_S + 40.0)
    assert await replica.writer.find_refused([theirs.variants[0].workload]) == ()
    assert await decide(replica, 7, "llama") == ()
    assert decode_installation(replica.get_object("llama-deployment")) == OURS


def make(name: str) -> ModelDecision:
    return make_decision(name, 7, 0.0)
