"""The cache of objects where there is nothing to be had: kinds that are not served, objects that may not be read."""

from __future__ import annotations

import asyncio

import pytest

from adapter.errors import Unreachable
from adapter.kube.client import KubeClient
from adapter.kube.reflector import ABSENT_S, ObjectCache
from adapter.kube.resource import DEPLOYMENTS, SCALED_OBJECTS, VARIANT_DECISIONS
from tests.builders.fake_kube_api import FakeKubeApi
from tests.builders.followed_objects import list_names, make, running, step_until
from tests.builders.quiet_clock import QuietClock
from tests.builders.stepped_clock import until


async def test_a_missing_right_is_told_with_its_verb_and_resource(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    kube_api.deny("list", "deployments")
    async with running(ObjectCache(kube_client, DEPLOYMENTS, "prod", clock=quiet_clock)) as cache:
        await until(lambda: cache.failure is not None)
        told = 'the right to list deployments in API group "apps" in namespace prod is missing: '
        assert str(cache.failure).startswith(told)
        assert not cache.is_synced
        kube_api.heal()
        kube_api.deny("watch", "deployments")
        await step_until(quiet_clock, lambda: cache.is_synced)
        await until(lambda: "the right to watch deployments" in str(cache.failure))
        kube_api.heal()
        await step_until(quiet_clock, lambda: cache.failure is None)


async def test_an_optional_kind_may_come_later_and_go_again(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    kube_api.uninstall(SCALED_OBJECTS)
    async with running(ObjectCache(kube_client, SCALED_OBJECTS, clock=quiet_clock, is_optional=True)) as cache:
        await until(lambda: cache.is_synced)
        assert (cache.list(), cache.failure, cache.behind_since_s) == ((), None, None)
        kube_api.install(SCALED_OBJECTS)
        kube_api.put(SCALED_OBJECTS, make("so"))
        await step_until(quiet_clock, lambda: list_names(cache) == ["so"], ABSENT_S + 1.0)
        await until(lambda: kube_api.get_watches() == 1)
        kube_api.uninstall(SCALED_OBJECTS)
        await step_until(quiet_clock, lambda: cache.list() == ())
        assert cache.failure is None


async def test_an_optional_kind_that_may_not_be_read_is_empty_and_says_why(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    kube_api.put(SCALED_OBJECTS, make("so"))
    kube_api.deny("list", "scaledobjects")
    async with running(ObjectCache(kube_client, SCALED_OBJECTS, clock=quiet_clock, is_optional=True)) as cache:
        await until(lambda: cache.is_synced)
        assert "the right to list scaledobjects" in str(cache.failure)
        assert (cache.list(), cache.behind_since_s) == ((), None)
        kube_api.heal()
        await step_until(quiet_clock, lambda: list_names(cache) == ["so"], ABSENT_S + 1.0)
        assert cache.failure is None


async def test_a_kind_that_must_be_there_is_awaited(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    kube_api.uninstall(VARIANT_DECISIONS)
    async with running(ObjectCache(kube_client, VARIANT_DECISIONS, clock=quiet_clock)) as cache:
        waiting = asyncio.ensure_future(cache.wait_synced(5.0))
        await until(lambda: cache.failure is not None)
        await step_until(quiet_clock, waiting.done)
        with pytest.raises(Unreachable, match=r"not known within 5 s: GET .* 404"):
            waiting.result()
        kube_api.install(VARIANT_DECISIONS)
        waiting = asyncio.ensure_future(cache.wait_synced(30.0))
        await step_until(quiet_clock, waiting.done)
        waiting.result()
