"""Whatever happens on the way, a cache of objects ends up with what is there."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from adapter.kube.client import KubeClient
from adapter.kube.reflector import ObjectCache
from adapter.kube.resource import CONFIG_MAPS
from tests.builders.fake_kube_api import FakeKubeApi
from tests.builders.followed_objects import running, step_until
from tests.builders.quiet_clock import QuietClock


def change_something(api: FakeKubeApi, stream: Random) -> None:
    namespace, name = stream.choice("pq"), f"c{stream.randrange(12)}"
    present = [item["metadata"]["name"] for item in api.list(CONFIG_MAPS, namespace)]
    if name not in present:
        api.put(CONFIG_MAPS, {"metadata": {"name": name, "namespace": namespace}, "data": {}})
    elif stream.random() < 0.4:
        api.remove(CONFIG_MAPS, namespace, name)
    else:
        api.change(CONFIG_MAPS, namespace, name, {"data": {"now": str(api.store.version)}})


async def break_something(api: FakeKubeApi, stream: Random) -> None:
    kind = stream.randrange(10)
    if kind == 0:
        api.drop_watches()
    elif kind == 1:
        api.silence_watches()
    elif kind == 2:
        api.end_watches()
    elif kind == 3:
        api.send_error(stream.choice([410, 500, 429, 403]))
    elif kind == 4:
        api.forget_history()
        api.drop_watches()
    elif kind == 5:
        await api.stop()
        for _ in range(stream.randrange(5)):
            change_something(api, stream)
        await api.start()
    elif kind == 6:
        api.expires_with_status = not api.expires_with_status
    elif kind == 7:
        api.send_bookmarks()
    else:
        code, verb = stream.choice([0, 403, 410, 429, 500, 503]), stream.choice(["list", "watch"])
        api.fail(code, verb=verb, times=stream.randrange(1, 4))


@pytest.mark.parametrize("seed", range(12))
async def test_a_cache_ends_up_with_what_is_there(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr("adapter.kube.reflector.PAGE_OBJECTS", 4)
    stream = Random(seed)
    told: list[tuple[object, ...]] = []
    cache = ObjectCache(
        kube_client, CONFIG_MAPS, clock=quiet_clock, silence_s=30.0, on_change=lambda: told.append(cache.list())
    )
    async with running(cache):
        for _ in range(80):
            if stream.random() < 0.7:
                change_something(kube_api, stream)
            else:
                await break_something(kube_api, stream)
            if stream.random() < 0.5:
                await quiet_clock.run_to(quiet_clock.now_s() + stream.choice([0.0, 0.3, 2.0, 9.0, 40.0]))
            await asyncio.sleep(0)
        kube_api.heal()
        await step_until(quiet_clock, lambda: cache.list() == tuple(kube_api.list(CONFIG_MAPS)), 45.0)
        await step_until(quiet_clock, lambda: (cache.behind_since_s, cache.failure) == (None, None), 45.0)
        assert told[-1] == cache.list(), "the last change was told"
