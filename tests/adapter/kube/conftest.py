"""A Kubernetes API in memory, a client of it, servers that answer nonsense, and a clock that moves on when all rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from adapter.kube.client import KubeClient
from tests.builders.fake_kube_api import FakeKubeApi, open_fake_kube_api
from tests.builders.fake_servers import FakeServers
from tests.builders.quiet_clock import InlineExecutor, QuietClock


@pytest.fixture
async def kube_api() -> AsyncIterator[FakeKubeApi]:
    async with open_fake_kube_api() as api:
        yield api


@pytest.fixture
async def kube_client(kube_api: FakeKubeApi) -> AsyncIterator[KubeClient]:
    async with kube_api.open_client() as client:
        yield client


@pytest.fixture
async def quiet_clock() -> QuietClock:
    asyncio.get_running_loop().set_default_executor(InlineExecutor())
    return QuietClock(speed=1.0)


@pytest.fixture
async def servers() -> AsyncIterator[FakeServers]:
    fakes = FakeServers()
    yield fakes
    await fakes.close()
