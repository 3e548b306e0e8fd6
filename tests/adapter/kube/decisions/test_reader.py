"""What every replica serves: the same numbers, whoever decided, and for as long as nobody can tell others."""

from __future__ import annotations

import asyncio

import pytest

from adapter.errors import Unreachable
from adapter.kube.client import KubeClient
from adapter.kube.decisions import DecisionWatch
from adapter.kube.decisions.assemble import assemble_models
from adapter.kube.decisions.heartbeat import HEARTBEAT_NAME
from adapter.kube.resource import CONFIG_MAPS, VARIANT_DECISIONS
from tests.builders.captured_log import capture_log
from tests.builders.decision_objects import OURS, Replica, make_decision, open_replica
from tests.builders.fake_kube_api import FakeKubeApi
from tests.builders.quiet_clock import START_S, QuietClock


async def test_every_replica_shows_the_same_as_soon_as_it_is_written(
    replica: Replica, kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    async with open_replica(kube_api, kube_client, quiet_clock) as standby:
        for number in (1, 4, 2, 0):
            now_s = quiet_clock.now_s()
            await replica.write(make_decision("llama", number, now_s))
            await replica.settle(15.0)
            assert replica.shown == standby.shown == {"llama": (number, now_s)}
            assert replica.publications[-1] == standby.publications[-1]


async def test_a_replica_that_starts_shows_what_was_decided_before(
    replica: Replica, kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    await replica.write(make_decision("llama", 3, START_S))
    async with open_replica(kube_api, kube_client, quiet_clock) as late:
        assert late.shown == {"llama": (3, START_S)}


async def test_nothing_is_known_before_everything_is(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    async with open_replica(kube_api, kube_client, quiet_clock) as opened:
        assert opened.publications == [()]


async def test_the_last_numbers_stay_while_the_api_is_away(replica: Replica) -> None:
    now_s = replica.clock.now_s()
    await replica.write(make_decision("llama", 3, now_s))
    await replica.settle()
    await replica.api.stop()
    await replica.settle(600.0)
    assert replica.shown == {"llama": (3, now_s)}
    assert replica.watch.behind_since_s is not None
    assert replica.watch.failure is not None
    await replica.api.start()
    replica.api.change(VARIANT_DECISIONS, "prod", "llama-deployment", {"status": {"plannedReplicas": 5}})
    await replica.settle(120.0)
    assert replica.shown == {"llama": (5, now_s)}
    assert {replica.watch.behind_since_s, replica.watch.failure} == {None}


async def test_many_changes_at_once_are_shown_once(replica: Replica) -> None:
    models = [make_decision(f"m{index}", 1, START_S) for index in range(50)]
    seen = len(replica.publications)
    await replica.write(*models)
    await replica.settle()
    assert len(replica.shown) == 50
    assert len(replica.publications) - seen <= 2


async def test_what_cannot_be_read_is_passed_over_and_logged_once(replica: Replica) -> None:
    await replica.write(make_decision("llama", 3, START_S), make_decision("qwen", 1, START_S))
    with capture_log() as log:
        replica.api.change(VARIANT_DECISIONS, "prod", "llama-deployment", {"status": {"decidedAt": "soon"}})
        await replica.settle()
        await replica.write(make_decision("qwen", 2, START_S))
        await replica.settle()
    assert list(replica.shown) == ["qwen"]
    assert len(log.read("decision_unreadable")) == 1


async def test_a_heartbeat_that_cannot_be_read_changes_no_age(replica: Replica) -> None:
    await replica.write(make_decision("llama", 3, START_S))
    await replica.settle()
    with capture_log() as log:
        replica.api.change(CONFIG_MAPS, "autoscaler", HEARTBEAT_NAME, {"data": {"variant-autoscaler": "{"}})
        await replica.settle()
    assert replica.shown == {"llama": (3, START_S)}
    assert len(log.read("heartbeat_unreadable")) == 1


async def test_named_namespaces_are_all_that_is_watched(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    async with open_replica(kube_api, kube_client, quiet_clock, namespaces=("prod", "dev")) as opened:
        lists = [
            call for call in kube_api.calls if call.verb in ("list", "watch") and call.plural == "variantdecisions"
        ]
        assert {call.namespace for call in lists} == {"prod", "dev"}
        await opened.write(make_decision("llama", 3, START_S))
        await opened.settle()
        assert opened.shown == {"llama": (3, START_S)}
        assert opened.watch.get_object("prod", "llama-deployment") is not None
        assert opened.watch.get_object("dev", "llama-deployment") is None


async def test_the_numbers_are_those_of_the_objects(replica: Replica) -> None:
    await replica.write(make_decision("llama", 3, START_S))
    await replica.settle()
    records = await replica.watch.read_records()
    assert replica.publications[-1] == assemble_models(records, replica.watch.get_heartbeat())


@pytest.mark.parametrize("plural", ["variantdecisions", "configmaps"])
async def test_waiting_for_what_nobody_tells_ends_with_the_reason(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock, plural: str
) -> None:
    kube_api.deny("list", plural)
    watch = DecisionWatch(kube_client, quiet_clock, OURS)
    running = asyncio.create_task(watch.run())
    waiting = asyncio.create_task(watch.wait_synced(30.0))
    await quiet_clock.run_to(START_S + 31.0)
    with pytest.raises(Unreachable, match=f"the right to list {plural}"):
        await waiting
    kube_api.heal()
    waiting = asyncio.create_task(watch.wait_synced(120.0))
    await quiet_clock.run_to(START_S + 160.0)
    await waiting
    assert watch.is_synced
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
