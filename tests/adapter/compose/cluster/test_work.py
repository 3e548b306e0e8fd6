"""Replicas of the adapter on an API in memory: one decides, all serve the same, and another goes on when it ends."""

from __future__ import annotations

from pathlib import Path

from adapter.kube.resource import CONFIG_MAPS, DEPLOYMENTS, LEASES, VARIANT_DECISIONS
from tests.builders.cluster_objects import make_workload
from tests.builders.cluster_replicas import OURS, deploy, open_replica, until
from tests.builders.fake_kube_api import FakeKubeApi
from tests.builders.quiet_clock import QuietClock


async def test_every_replica_serves_what_the_one_that_leads_decided(
    api: FakeKubeApi, clock: QuietClock, tmp_path: Path
) -> None:
    deploy(api, 2, "pin=5")
    async with (
        open_replica(api, clock, tmp_path, "one") as one,
        open_replica(api, clock, tmp_path, "two") as two,
    ):
        await until(clock, lambda: one.numbers == two.numbers == {"llama": 5})
        assert sorted([one.leads, two.leads]) == [False, True]
        assert one.work.find_obstacle() is None
        assert two.work.find_obstacle() is None
        deploy(api, 5, "pin=3")
        await until(clock, lambda: one.numbers == two.numbers == {"llama": 3})


async def test_another_replica_goes_on_with_the_same_numbers_at_once(
    api: FakeKubeApi, clock: QuietClock, tmp_path: Path
) -> None:
    deploy(api, 4)
    async with (
        open_replica(api, clock, tmp_path, "one") as one,
        open_replica(api, clock, tmp_path, "two") as two,
    ):
        await until(clock, lambda: one.numbers == two.numbers == {"llama": 4})
        first, second = (one, two) if one.leads else (two, one)
        seen: list[dict[str, int]] = []
        await first.end()
        for _ in range(100):
            seen.append(second.numbers)
            await clock.run_to(clock.now_s() + 0.5)
        assert second.leads
        assert {frozenset(numbers.items()) for numbers in [*seen, second.numbers]} == {frozenset({("llama", 4)})}
    assert api.get(LEASES, "autoscaler", "va")["spec"]["holderIdentity"] == ""


async def test_what_is_remembered_outlives_every_process(api: FakeKubeApi, clock: QuietClock, tmp_path: Path) -> None:
    deploy(api, 4, "pin=6")
    async with open_replica(api, clock, tmp_path, "one") as one:
        await until(clock, lambda: one.numbers == {"llama": 6})
    assert any("state" in item["metadata"]["name"] for item in api.list(CONFIG_MAPS, "autoscaler"))
    deploy(api, 4, "pause")  # nobody asked for 6 yet, but 6 was told
    async with open_replica(api, clock, tmp_path, "two") as two:
        await until(clock, lambda: two.leads and two.store.get().models)
        await clock.run_to(clock.now_s() + 30.0)
        assert two.numbers == {"llama": 6}


async def test_a_standby_is_not_ready_before_it_knows_what_was_told(
    api: FakeKubeApi, clock: QuietClock, tmp_path: Path
) -> None:
    api.deny("list", VARIANT_DECISIONS.plural)
    async with open_replica(api, clock, tmp_path, "one") as one:
        await clock.run_to(clock.now_s() + 20.0)
        assert "variantdecisions" in (one.work.find_obstacle() or "")
        assert one.numbers == {}
        api.heal()
        deploy(api, 1)
        await until(clock, lambda: one.work.find_obstacle() is None and one.numbers == {"llama": 1}, within_s=120.0)


async def test_a_workload_that_waits_for_its_first_decision_is_known_as_such(
    api: FakeKubeApi, clock: QuietClock, tmp_path: Path
) -> None:
    deploy(api, 1, "pin=1")
    async with open_replica(api, clock, tmp_path, "one") as one:
        await until(clock, lambda: one.numbers == {"llama": 1})
        api.deny("create", VARIANT_DECISIONS.plural)
        other = make_workload("other", namespace="prod", replicas=1, annotations=OURS)
        api.put(DEPLOYMENTS, other, "prod")
        deploy(api, 1, "pin=2")
        await until(clock, lambda: one.numbers == {"llama": 2})
        await until(clock, lambda: [ref.name for ref in one.store.get().undecided] == ["other"])


async def test_a_replica_that_is_cut_off_gives_no_number_to_act_on_until_it_hears_again(
    api: FakeKubeApi, clock: QuietClock, tmp_path: Path
) -> None:
    deploy(api, 2, "pin=5")
    async with open_replica(api, clock, tmp_path, "one") as one:
        await until(clock, lambda: one.numbers == {"llama": 5})
        assert one.store.find_obstacle() is None
        api.hang()  # nothing is refused, and nothing is answered any more
        await clock.run_to(clock.now_s() + 5.0)
        assert one.store.find_obstacle() is None  # as long as nobody else may lead yet
        await clock.run_to(clock.now_s() + 4.0)
        assert "cut off from the API server" in (one.store.find_obstacle() or "")
        assert one.work.find_obstacle() == one.store.find_obstacle()
        assert one.numbers == {"llama": 5}  # still to be seen
        api.heal()
        await until(clock, lambda: one.store.find_obstacle() is None and one.leads)


async def test_a_replica_whose_watch_alone_is_broken_gives_no_number_either(
    api: FakeKubeApi, clock: QuietClock, tmp_path: Path
) -> None:
    deploy(api, 2, "pin=5")
    async with open_replica(api, clock, tmp_path, "one") as one:
        await until(clock, lambda: one.numbers == {"llama": 5})
        api.deny("watch", VARIANT_DECISIONS.plural)
        api.drop_watches()
        await clock.run_to(clock.now_s() + 20.0)
        assert one.leads
        assert "cut off" in (one.store.find_obstacle() or "")
        api.heal()
        await until(clock, lambda: one.store.find_obstacle() is None, within_s=120.0)
