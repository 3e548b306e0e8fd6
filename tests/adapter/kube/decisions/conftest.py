"""A replica of our installation beside an API in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from adapter.kube.client import KubeClient
from tests.builders.decision_objects import Replica, open_replica
from tests.builders.fake_kube_api import FakeKubeApi
from tests.builders.quiet_clock import QuietClock


@pytest.fixture
async def replica(kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock) -> AsyncIterator[Replica]:
    async with open_replica(kube_api, kube_client, quiet_clock) as opened:
        yield opened
