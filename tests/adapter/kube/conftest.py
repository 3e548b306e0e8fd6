"""A Kubernetes API in memory and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from adapter.kube.client import KubeClient
from tests.builders.fake_kube_api import FakeKubeApi, open_fake_kube_api


@pytest.fixture
async def kube_api() -> AsyncIterator[FakeKubeApi]:
    async with open_fake_kube_api() as api:
        yield api


@pytest.fixture
async def kube_client(kube_api: FakeKubeApi) -> AsyncIterator[KubeClient]:
    async with kube_api.open_client() as client:
        yield client
