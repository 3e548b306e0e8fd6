"""Pods on loopback, a clock that a test moves, and telemetry that it can read."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from adapter.collector import Collector
from adapter.telemetry import Telemetry
from tests.builders.fake_servers import FakeServers
from tests.builders.passes import OPTIONS, Passes
from tests.builders.stepped_clock import SteppedClock


@pytest.fixture
async def servers() -> AsyncIterator[FakeServers]:
    opened = FakeServers()
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
async def passes(clock: SteppedClock, telemetry: Telemetry) -> AsyncIterator[Passes]:
    async with Collector(OPTIONS, clock, telemetry) as collector:
        yield Passes(collector, clock)
