"""The ConfigMap of front proxies is followed, and what vanishes changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from adapter.clock import ScaledClock
from adapter.kube.client import KubeClient
from adapter.kube.proxy_settings import NAME, NAMESPACE, ProxySettingsWatch
from adapter.kube.resource import CONFIG_MAPS
from tests.builders.fake_kube_api import FakeKubeApi
from tests.builders.stepped_clock import until


def put(api: FakeKubeApi, **data: str) -> None:
    api.put(CONFIG_MAPS, {"metadata": {"name": NAME, "namespace": NAMESPACE}, "data": data})


async def test_data_are_handed_on_when_they_change(kube_api: FakeKubeApi, kube_client: KubeClient) -> None:
    heard = list[Mapping[str, str]]()
    api = kube_api
    put(api, a="1")
    api.put(CONFIG_MAPS, {"metadata": {"name": "other", "namespace": NAMESPACE}, "data": {"a": "9"}})
    watch = ProxySettingsWatch(kube_client, ScaledClock.starting_now(), heard.append)
    running = asyncio.create_task(watch.run())
    await until(lambda: heard == [{"a": "1"}])
    await until(lambda: api.get_watches(CONFIG_MAPS) == 1)
    put(api, a="2")
    await until(lambda: heard[-1] == {"a": "2"})
    api.change(CONFIG_MAPS, NAMESPACE, NAME, {"metadata": {"labels": {"touched": "yes"}}})
    api.remove(CONFIG_MAPS, NAMESPACE, NAME)
    put(api, a="3")
    await until(lambda: heard[-1] == {"a": "3"})
    assert heard == [{"a": "1"}, {"a": "2"}, {"a": "3"}]
    assert watch.failure is None
    assert {(call.verb, call.namespace) for call in api.calls} == {("list", NAMESPACE), ("watch", NAMESPACE)}
    assert {call.query["fieldSelector"] for call in api.calls} == {f"metadata.name={NAME}"}
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_a_missing_right_is_told(kube_api: FakeKubeApi, kube_client: KubeClient) -> None:
    kube_api.deny("list", "configmaps")
    watch = ProxySettingsWatch(kube_client, ScaledClock.starting_now(), lambda _data: None)
    running = asyncio.create_task(watch.run())
    await until(lambda: "configmaps" in (watch.failure or ""))
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
