"""The cache of objects against an API that goes away, forgets, falls silent and refuses, over real HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.kube.client import KubeClient
from adapter.kube.reflector import RESYNC_S, SILENCE_S, ObjectCache
from adapter.kube.resource import NODES, PODS
from tests.builders.captured_log import capture_log
from tests.builders.fake_kube_api import FakeKubeApi
from tests.builders.followed_objects import list_names, make, running, step_until
from tests.builders.quiet_clock import START_S, QuietClock
from tests.builders.stepped_clock import until


async def test_knows_what_was_there_before_and_what_comes_after(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    kube_api.put(PODS, make("a"))
    async with running(ObjectCache(kube_client, PODS, clock=quiet_clock)) as cache:
        assert not cache.is_synced
        assert cache.behind_since_s == START_S
        await until(lambda: cache.is_synced and kube_api.get_watches(PODS) == 1)
        kube_api.put(PODS, make("c", "dev"))
        kube_api.put(PODS, make("b"))
        kube_api.change(PODS, "prod", "a", {"spec": {"size": 2}})
        await until(lambda: len(cache.list()) == 3)
        assert list_names(cache) == ["c", "a", "b"]
        kube_api.remove(PODS, "prod", "b")
        await until(lambda: len(cache.list()) == 2)
        found = cache.get("prod", "a")
        assert found is not None
        assert (found["apiVersion"], found["kind"], found["spec"]) == ("v1", "Pod", {"size": 2})
        assert cache.get("prod", "b") is None
        assert kube_api.count("list") == 1


async def test_watches_on_from_where_the_connection_broke(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    kube_api.put(PODS, make("a"))
    async with running(ObjectCache(kube_client, PODS, clock=quiet_clock)) as cache:
        await until(lambda: kube_api.get_watches() == 1)
        kube_api.drop_watches()
        await until(lambda: cache.behind_since_s is not None)
        assert (cache.behind_since_s, list_names(cache)) == (START_S, ["a"])
        assert "WATCH /api/v1/pods" in str(cache.failure)
        kube_api.put(PODS, make("b"))
        kube_api.remove(PODS, "prod", "a")
        await step_until(quiet_clock, lambda: list_names(cache) == ["b"])
        assert (cache.behind_since_s, cache.failure) == (None, None)
        assert kube_api.count("list") == 1


async def test_a_quiet_watch_counts_as_in_touch_once_the_server_agreed_to_it(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    async with running(ObjectCache(kube_client, PODS, clock=quiet_clock)) as cache:
        await until(lambda: kube_api.get_watches() == 1)
        kube_api.drop_watches()
        await until(lambda: cache.behind_since_s is not None)
        await step_until(quiet_clock, lambda: cache.behind_since_s is None)
        assert cache.failure is None


async def test_an_end_in_good_order_is_no_trouble(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    kube_api.put(PODS, make("a"))
    async with running(ObjectCache(kube_client, PODS, clock=quiet_clock)) as cache:
        await until(lambda: kube_api.get_watches() == 1)
        version = kube_api.store.version
        kube_api.put(NODES, {"metadata": {"name": "n"}})
        kube_api.send_bookmarks()
        await quiet_clock.run_to(START_S + 60.0)
        kube_api.end_watches()
        await until(lambda: kube_api.count("watch") == 2)
        assert (cache.behind_since_s, cache.failure) == (None, None)
        asked = [call.query["resourceVersion"] for call in kube_api.calls if call.verb == "watch"]
        assert asked == [str(version), str(version + 1)], "the bookmark moved it on"


async def test_watches_that_end_at_once_are_not_opened_in_a_rush(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    async with running(ObjectCache(kube_client, PODS, clock=quiet_clock)):
        for opened in range(1, 9):
            await step_until(quiet_clock, lambda opened=opened: kube_api.count("watch") == opened)  # type: ignore[misc]
            await until(lambda: kube_api.get_watches() == 1)
            kube_api.end_watches()
        assert quiet_clock.now_s() - START_S > 0.25 * (2**6 - 1)


@pytest.mark.parametrize("with_status", [False, True])
async def test_lists_anew_when_its_version_is_too_old(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock, with_status: bool
) -> None:
    """What went away meanwhile nobody tells any more: it is missing from the list, and that suffices."""
    kube_api.expires_with_status = with_status
    for name in ("a", "b", "c"):
        kube_api.put(PODS, make(name))
    async with running(ObjectCache(kube_client, PODS, clock=quiet_clock)) as cache:
        await until(lambda: kube_api.get_watches() == 1)
        await kube_api.stop()
        kube_api.remove(PODS, "prod", "b")
        kube_api.change(PODS, "prod", "c", {"spec": {"size": 9}})
        kube_api.forget_history()
        await kube_api.start()
        await step_until(quiet_clock, lambda: list_names(cache) == ["a", "c"])
        found = cache.get("prod", "c")
        assert found is not None
        assert found["spec"]["size"] == 9
        assert kube_api.count("list") == 2
        kube_api.put(PODS, make("d"))
        await step_until(quiet_clock, lambda: list_names(cache) == ["a", "c", "d"])


async def test_an_error_in_the_stream_ends_the_watch_and_410_asks_for_everything(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    async with running(ObjectCache(kube_client, PODS, clock=quiet_clock)) as cache:
        await until(lambda: kube_api.get_watches() == 1)
        kube_api.send_error(500, "etcd has a headache")
        await until(lambda: cache.failure is not None)
        assert "500: etcd has a headache" in str(cache.failure)
        await step_until(quiet_clock, lambda: cache.behind_since_s is None)
        assert kube_api.count("list") == 1
        kube_api.send_error(410)
        await step_until(quiet_clock, lambda: kube_api.count("list") == 2)


async def test_an_api_that_is_away_leaves_the_last_objects_and_is_asked_ever_less_often(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    kube_api.put(PODS, make("a"))
    async with running(ObjectCache(kube_client, PODS, clock=quiet_clock)) as cache:
        await until(lambda: kube_api.get_watches() == 1)
        kube_api.fail(503)
        kube_api.drop_watches()
        tried = kube_api.count("watch") + kube_api.count("list")
        await step_until(quiet_clock, lambda: quiet_clock.now_s() >= START_S + 120.0, 121.0)
        tried = kube_api.count("watch") + kube_api.count("list") - tried
        assert 5 + 10 <= tried <= 5 + 22, "five times within 8 to 16 s, then every 5 to 10 s"
        assert (cache.is_synced, list_names(cache), cache.behind_since_s) == (True, ["a"], START_S)
        kube_api.heal()
        await step_until(quiet_clock, lambda: cache.behind_since_s is None, 10.5)


async def test_a_silent_watch_is_given_up_and_taken_for_dead_since_it_was_heard_last(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    """The other end vanished without a word: no packet will ever tell."""
    async with running(ObjectCache(kube_client, PODS, clock=quiet_clock)) as cache:
        await until(lambda: kube_api.get_watches() == 1)
        await quiet_clock.run_to(START_S + 30.0)
        kube_api.send_bookmarks()
        await quiet_clock.run_to(START_S + 30.0)
        kube_api.silence_watches()
        kube_api.put(PODS, make("a"))
        await quiet_clock.run_to(START_S + 30.0 + SILENCE_S - 1.0)
        assert (cache.behind_since_s, cache.list()) == (None, ())
        kube_api.fail(503, verb="watch", times=1)
        await quiet_clock.run_to(START_S + 30.0 + SILENCE_S)
        await until(lambda: cache.behind_since_s == START_S + 30.0)
        assert f"silent for {SILENCE_S:g} s" in str(cache.failure)
        await step_until(quiet_clock, lambda: list_names(cache) == ["a"])
        assert cache.behind_since_s is None
        assert kube_api.count("list") == 1


async def test_the_server_is_asked_to_end_a_watch_before_it_would_seem_dead(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    async with running(ObjectCache(kube_client, PODS, clock=quiet_clock, silence_s=20.0)):
        await until(lambda: kube_api.get_watches() == 1)
        assert kube_api.calls[-1].query["timeoutSeconds"] == "16"


async def test_lists_everything_anew_now_and_then(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    async with running(ObjectCache(kube_client, PODS, clock=quiet_clock)) as cache:
        await until(lambda: kube_api.get_watches() == 1)
        kube_api.silence_watches()  # an event is lost on the way
        kube_api.put(PODS, make("a"))
        kube_api.store.history.clear()
        await quiet_clock.run_to(START_S + RESYNC_S)
        await step_until(quiet_clock, lambda: list_names(cache) == ["a"])


async def test_an_event_that_breaks_every_watch_is_passed_by_with_a_new_list(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    async with running(ObjectCache(kube_client, PODS, clock=quiet_clock)) as cache:
        await until(lambda: kube_api.get_watches() == 1)
        kube_api.put(PODS, {**make("huge"), "data": "x" * (5 << 20)})
        await step_until(quiet_clock, lambda: list_names(cache) == ["huge"])
        assert kube_api.count("list") == 2


async def test_lists_in_pages_and_starts_over_when_one_is_too_old(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    names = [f"p{number:04d}" for number in range(1201)]
    for name in names:
        kube_api.put(PODS, make(name))
    async with running(ObjectCache(kube_client, PODS, clock=quiet_clock)) as cache:
        await until(lambda: cache.is_synced)
        assert list_names(cache) == names
        assert kube_api.count("list") == 3
    kube_api.calls.clear()
    kube_api.fail(410, verb="list", times=1)
    async with running(ObjectCache(kube_client, PODS, clock=quiet_clock)) as cache:
        await until(lambda: cache.is_synced)
        assert list_names(cache) == names
        assert [call.query.get("limit") for call in kube_api.calls if call.verb == "list"] == ["500", None]


async def test_one_namespace_and_selectors_narrow_it(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    kube_api.put(PODS, make("a", tier="gpu"))
    kube_api.put(PODS, make("b", "dev", tier="gpu"))
    query = {"labelSelector": "tier=gpu"}
    async with running(ObjectCache(kube_client, PODS, "prod", clock=quiet_clock, query=query)) as cache:
        await until(lambda: kube_api.get_watches() == 1)
        kube_api.put(PODS, make("c", tier="cpu"))
        kube_api.put(PODS, make("d", tier="gpu"))
        await until(lambda: list_names(cache) == ["a", "d"])
        kube_api.change(PODS, "prod", "a", {"metadata": {"labels": {"tier": "cpu"}}})
        await until(lambda: list_names(cache) == ["d"])


async def test_objects_without_a_namespace_are_found_by_name(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    kube_api.put(NODES, {"metadata": {"name": "n"}})
    async with running(ObjectCache(kube_client, NODES, clock=quiet_clock)) as cache:
        await until(lambda: cache.is_synced)
        found = cache.get(None, "n")
        assert found is not None
        assert found["kind"] == "Node"


async def test_tells_of_changes_only(kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock) -> None:
    seen: list[tuple[int, bool]] = []
    cache = ObjectCache(
        kube_client, PODS, clock=quiet_clock, on_change=lambda: seen.append((len(cache.list()), cache.is_synced))
    )
    async with running(cache):
        await until(lambda: kube_api.get_watches() == 1)
        assert seen == [(0, True)], "empty, and known to be"
        kube_api.put(PODS, make("a"))
        await until(lambda: len(seen) == 2)
        kube_api.send_bookmarks()
        kube_api.send_error(410)
        await step_until(quiet_clock, lambda: kube_api.count("list") == 2)
        await until(lambda: kube_api.get_watches() == 1)
        assert seen == [(0, True), (1, True)]
        kube_api.send_error(410)
        kube_api.remove(PODS, "prod", "a")
        await step_until(quiet_clock, lambda: seen[-1] == (0, True))


async def test_keeps_only_what_it_is_told_to(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    kube_api.put(PODS, make("a"))

    def trim(item: dict[str, Any]) -> dict[str, Any]:
        return {"kind": item["kind"], "name": item["metadata"]["name"]}

    async with running(ObjectCache(kube_client, PODS, clock=quiet_clock, trim=trim)) as cache:
        await until(lambda: kube_api.get_watches() == 1)
        kube_api.put(PODS, make("b"))
        await until(lambda: len(cache.list()) == 2)
        kube_api.send_error(410)
        await step_until(quiet_clock, lambda: kube_api.count("list") == 2 and cache.behind_since_s is None)
        assert cache.list() == ({"kind": "Pod", "name": "a"}, {"kind": "Pod", "name": "b"})


async def test_what_it_says_is_logged_when_it_begins_and_ends(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    with capture_log() as log:
        async with running(ObjectCache(kube_client, PODS, clock=quiet_clock)) as cache:
            await until(lambda: kube_api.get_watches() == 1)
            kube_api.fail(503, times=3)
            kube_api.send_error(500)
            await until(lambda: cache.failure is not None)
            await step_until(quiet_clock, lambda: cache.failure is None)
    assert [line["objects"] for line in log.read("watch_recovered")] == ["/api/v1/pods"]
    assert [line["error"][:5] for line in log.read("watch_failed")] == ["500: ", "WATCH", "GET /"]
