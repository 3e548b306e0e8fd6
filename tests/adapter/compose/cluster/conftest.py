"""An API in memory, and a clock that moves on when all rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.builders.fake_kube_api import FakeKubeApi, open_fake_kube_api
from tests.builders.quiet_clock import InlineExecutor, QuietClock


@pytest.fixture
async def clock() -> QuietClock:
    asyncio.get_running_loop().set_default_executor(InlineExecutor())
    return QuietClock(speed=1.0)


@pytest.fixture
async def api() -> AsyncIterator[FakeKubeApi]:
    async with open_fake_kube_api() as opened:
        yield opened
