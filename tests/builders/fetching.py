"""Fetching one page in a test: a fetcher for a while, or the reason why a page could not be had."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from adapter.collector.fetch import PageFetcher, PageUnusable
from adapter.collector.options import ScrapeOptions
from optimizer.domain import Reason
from tests.builders.stepped_clock import SteppedClock

PATIENT = ScrapeOptions(timeout_s=30.0)


@asynccontextmanager
async def fetching(options: ScrapeOptions, clock: SteppedClock) -> AsyncIterator[PageFetcher]:
    async with PageFetcher(options, clock) as fetcher:
        yield fetcher


async def get_reason(url: str, clock: SteppedClock, options: ScrapeOptions = PATIENT) -> Reason:
    async with fetching(options, clock) as fetcher:
        with pytest.raises(PageUnusable) as failure:
            await fetcher.fetch(url)
    return failure.value.reason
