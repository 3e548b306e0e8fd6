"""Leader election over real HTTP: one leader at a time whatever breaks, and soon a new one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from random import Random

import pytest

from adapter.kube.resource import LEASES
from tests.builders.captured_log import capture_log
from tests.builders.elected_replicas import LEASE_S, RENEW_S, RETRY_S, House, check_diaries
from tests.builders.fake_kube_api import FakeKubeApi
from tests.builders.quiet_clock import QuietClock


@pytest.fixture
async def house(kube_api: FakeKubeApi, quiet_clock: QuietClock) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        everybody = House(kube_api, quiet_clock, stack)
        yield everybody
        for replica in everybody.replicas:
            replica.kill()
        await quiet_clock.run_to(quiet_clock.now_s() + 60.0)


async def test_the_first_one_leads_and_says_so_in_the_lease(house: House) -> None:
    first = await house.open()
    await house.run(5.0)
    assert first.elector.is_leader
    assert house.get_lease() == {
        "holderIdentity": "replica-0",
        "leaseDurationSeconds": 12,
        "leaseTransitions": 0,
        "acquireTime": "1970-01-12T13:46:40.000000Z",
        "renewTime": "1970-01-12T13:46:44.000000Z",
    }
    second = await house.open()
    await house.run(60.0)
    assert (house.list_leaders(), second.elector.holder, second.diary) == (["replica-0"], "replica-0", [])


@pytest.mark.parametrize("killed_after_s", [4.0, 5.0, 5.75, 5.999, 6.0, 6.001])
async def test_a_new_one_leads_within_15_s_of_a_kill_and_not_before_the_lease_ran_out(
    house: House, killed_after_s: float
) -> None:
    first = await house.open()
    await house.run(0.7)
    second = await house.open()
    await house.run(killed_after_s - 0.7)
    first.kill()
    took_s = await house.run_until(lambda: second.elector.is_leader)
    assert LEASE_S - RETRY_S <= took_s <= 15.0
    assert house.get_lease()["leaseTransitions"] == 1


async def test_who_cannot_reach_the_api_stops_before_another_may_start(house: House) -> None:
    first = await house.open(cleanup_s=3.0)
    await house.run(1.0)
    second = await house.open()
    await house.run(4.5)
    first.client.is_severed = True
    await house.run_until(lambda: second.elector.is_leader)
    assert first.get_last_s("stops") == 4.0 + RENEW_S, "counted from its last renewal"
    assert first.get_last_s("stopped") < second.get_last_s("leads")
    first.client.is_severed = False
    await house.run(30.0)
    assert (house.list_leaders(), first.elector.holder) == (["replica-1"], "replica-1")


async def test_an_api_that_never_answers_is_no_reason_to_go_on(house: House) -> None:
    first = await house.open()
    await house.run(5.0)
    house.api.hang(plural="leases")
    await house.run(30.0)
    assert [what for what, _ in first.diary] == ["leads", "stops", "stopped"]
    assert first.get_last_s("stops") == 4.0 + RENEW_S
    assert first.elector.failure == f"no answer within {RENEW_S / 3:g} s"
    house.api.heal()
    await house.run_until(lambda: first.elector.is_leader, 6.0)
    assert first.elector.failure is None


async def test_a_renewal_counts_from_when_it_was_asked_for(house: House) -> None:
    """Others may have seen it long before its answer came here."""
    first = await house.open()
    await house.run(3.0)
    first.client.clock, first.client.lag_s = house.clock, 2.5
    await house.run(3.75)  # asked for at 4 s, applied then, answered at 6.5 s
    first.client.is_severed = True
    await house.run(20.0)
    assert first.get_last_s("stops") == 4.0 + RENEW_S


async def test_a_short_outage_changes_nothing(house: House) -> None:
    first = await house.open()
    await house.open()
    await house.run(5.0)
    await house.api.stop()
    await house.run(5.0)
    await house.api.start()
    await house.run(30.0)
    assert [what for what, _ in first.diary] == ["leads"]
    assert house.list_leaders() == ["replica-0"]


async def test_one_connection_that_hangs_leaves_time_for_another(house: House) -> None:
    first = await house.open()
    await house.run(5.0)
    house.api.hang(plural="leases", verb="update", times=1)
    await house.run(30.0)
    assert [what for what, _ in first.diary] == ["leads"]


async def test_clocks_of_other_machines_do_not_matter(house: House) -> None:
    first = await house.open(ahead_s=-86_400.0)
    await house.run(3.0)
    second = await house.open(ahead_s=86_400.0)
    await house.run(60.0)
    assert (first.elector.is_leader, second.diary) == (True, [])
    first.kill()
    await house.run_until(lambda: second.elector.is_leader, 15.0)


async def test_a_process_that_slept_too_long_knows_at_once_that_it_no_longer_leads(house: House) -> None:
    first = await house.open()
    await house.run(5.0)
    first.clock.ahead_s += RENEW_S
    assert not first.elector.is_leader


async def test_gives_the_lease_up_after_its_cleanup_and_renews_it_until_then(house: House) -> None:
    first = await house.open(cleanup_s=30.0)
    await house.run(1.0)
    second = await house.open()
    await house.run(9.0)
    first.stop_soon()
    await house.run(29.0)
    assert (first.elector.is_leader, second.diary) == (True, [])
    await house.run_until(lambda: second.elector.is_leader, 1.0 + RETRY_S)
    assert first.get_last_s("stopped") == 40.0
    assert first.task is not None
    assert first.task.cancelled()


async def test_an_emptied_lease_names_nobody(house: House) -> None:
    first = await house.open()
    await house.run(3.0)
    await first.stop()
    assert (house.get_lease()["holderIdentity"], first.elector.holder) == ("", "")
    await house.open()
    await house.run(0.25)
    assert (house.get_lease()["holderIdentity"], house.get_lease()["leaseDurationSeconds"]) == ("replica-1", 12)


async def test_gives_the_lease_up_even_if_the_answer_to_its_last_renewal_was_lost(house: House) -> None:
    first = await house.open()
    await house.run(3.9)
    house.api.lose_answers(verb="update", plural="leases", times=1)
    await house.run(0.25)
    await first.stop()
    assert house.get_lease()["holderIdentity"] == ""


async def test_a_lost_answer_is_no_lost_lease(house: House) -> None:
    first = await house.open()
    await house.run(3.0)
    house.api.lose_answers(verb="update", plural="leases", times=2)
    await house.run(20.0)
    assert [what for what, _ in first.diary] == ["leads"]


async def test_others_may_write_on_the_lease_without_taking_it(house: House) -> None:
    first = await house.open()
    await house.run(3.0)
    house.api.change(LEASES, "here", "leader", {"metadata": {"annotations": {"note": "hello"}}})
    await house.run(20.0)
    assert [what for what, _ in first.diary] == ["leads"]
    assert house.api.get(LEASES, "here", "leader")["metadata"]["annotations"] == {"note": "hello"}


async def test_who_is_robbed_stops_at_the_next_renewal(house: House) -> None:
    first = await house.open()
    await house.run(3.0)
    house.api.change(LEASES, "here", "leader", {"spec": {"holderIdentity": "thief"}})
    await house.run(1.25)
    assert [what for what, _ in first.diary] == ["leads", "stops", "stopped"]
    assert (first.elector.is_leader, first.elector.holder) == (False, "thief")
    await house.run_until(lambda: first.elector.is_leader, 15.0)
    assert house.get_lease()["leaseTransitions"] == 1


async def test_a_deleted_lease_is_made_anew_by_its_holder(house: House) -> None:
    first = await house.open()
    await house.run(3.0)
    house.api.remove(LEASES, "here", "leader")
    await house.run(20.0)
    assert [what for what, _ in first.diary] == ["leads"]
    house.api.remove(LEASES, "here", "leader")
    house.api.put(LEASES, {"metadata": {"name": "leader"}, "spec": {"holderIdentity": "thief"}}, "here")
    await house.run(4.25)
    assert not first.elector.is_leader


async def test_the_same_process_started_again_leads_at_once(house: House) -> None:
    """A container that restarts in its pod: nobody else can have this name."""
    first = await house.open("pod-a")
    await house.run(3.0)
    first.kill()
    again = await house.open("pod-a")
    await house.run(0.25)
    assert again.elector.is_leader


async def test_a_lease_of_others_with_a_longer_term_is_respected(house: House) -> None:
    spec = {"holderIdentity": "old", "leaseDurationSeconds": 40, "renewTime": "1990-01-01T00:00:00.000000Z"}
    house.api.put(LEASES, {"metadata": {"name": "leader"}, "spec": spec}, "here")
    first = await house.open()
    assert await house.run_until(lambda: first.elector.is_leader) == 40.0


async def test_an_empty_lease_is_free(house: House) -> None:
    house.api.put(LEASES, {"metadata": {"name": "leader"}}, "here")
    first = await house.open()
    await house.run(0.25)
    assert first.elector.is_leader


async def test_the_race_for_a_free_lease_has_one_winner(house: House) -> None:
    for _ in range(6):
        await house.open()
    await house.run(0.25)
    assert len(house.list_leaders()) == 1
    await house.replicas[int(house.list_leaders()[0][-1])].stop()
    await house.run(RETRY_S + 0.25)
    assert len(house.list_leaders()) == 1


async def test_a_missing_right_is_told_and_asked_for_again(house: House) -> None:
    house.api.deny("update", "leases")
    house.api.deny("create", "leases")
    with capture_log() as log:
        first = await house.open()
        await house.run(10.0)
    assert 'cannot create resource "leases" in API group "coordination.k8s.io"' in str(first.elector.failure)
    assert len(log.read("election_failed")) == 1
    assert first.diary == []
    house.api.heal()
    await house.run(RETRY_S)
    assert (first.elector.is_leader, first.elector.failure) == (True, None)


async def test_a_leader_that_is_done_ends_the_run_and_frees_the_lease(house: House) -> None:
    first = await house.open(start=False)

    async def lead_shortly() -> None:
        await house.clock.sleep(3.0)

    task = asyncio.create_task(first.elector.run(lead_shortly))
    await house.run(4.0)
    assert task.done()
    task.result()
    assert house.get_lease()["holderIdentity"] == ""


async def test_what_the_leader_raises_comes_out_and_the_lease_is_free(house: House) -> None:
    first = await house.open(start=False)

    async def fail() -> None:
        await house.clock.sleep(3.0)
        raise ZeroDivisionError

    task = asyncio.create_task(first.elector.run(fail))
    await house.run(4.0)
    with pytest.raises(ZeroDivisionError):
        task.result()
    assert house.get_lease()["holderIdentity"] == ""


@pytest.mark.parametrize("seed", range(5))
async def test_never_do_two_lead_whatever_breaks_and_soon_one_does(house: House, seed: int) -> None:
    """Random cables out and in, lost answers, killed and new processes, clocks days apart."""
    stream = Random(seed)
    for _ in range(3):
        await house.open(ahead_s=stream.uniform(-1e5, 1e5), cleanup_s=stream.uniform(0.0, 3.0))
    for _ in range(60):
        replica = stream.choice(house.replicas)
        chance = stream.random()
        if chance < 0.4:
            replica.client.is_severed = not replica.client.is_severed
        elif chance < 0.5:
            house.api.lose_answers(plural="leases", times=stream.randrange(1, 4))
        elif chance < 0.6:
            house.api.hang(plural="leases", times=1)
        elif chance < 0.7:
            replica.kill()
            house.replicas.remove(replica)
            await house.open(f"replica-{stream.random()}", ahead_s=stream.uniform(-1e5, 1e5))
        await house.run(stream.choice([0.3, 1.7, 4.1, 9.9]), step_s=0.3)
        check_diaries(house.replicas)
    house.api.heal()
    for replica in house.replicas:
        replica.client.is_severed = False
    await house.run_until(lambda: len(house.list_leaders()) == 1, 15.0)
    await house.run(30.0)
    check_diaries(house.replicas)
