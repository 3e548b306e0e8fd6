"""Waiting for something, but not for ever."""

from __future__ import annotations

import asyncio

import pytest

from adapter.kube.patience import wait_within
from tests.builders.quiet_clock import QuietClock


async def test_returns_what_comes_in_time(quiet_clock: QuietClock) -> None:
    async def answer() -> int:
        await quiet_clock.sleep(3.0)
        return 7

    waiting = asyncio.ensure_future(wait_within(quiet_clock, 4.0, answer()))
    await quiet_clock.run_to(quiet_clock.now_s() + 3.0)
    assert waiting.result() == 7


async def test_gives_up_after_its_time_and_cancels_what_it_waited_for(quiet_clock: QuietClock) -> None:
    ended: list[str] = []

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("cleaned up")

    waiting = asyncio.ensure_future(wait_within(quiet_clock, 4.0, hang()))
    await quiet_clock.run_to(quiet_clock.now_s() + 3.9)
    assert not waiting.done()
    await quiet_clock.run_to(quiet_clock.now_s() + 0.1)
    assert ended
    with pytest.raises(TimeoutError, match="nothing within 4 s"):
        waiting.result()


async def test_what_is_raised_comes_out(quiet_clock: QuietClock) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await wait_within(quiet_clock, 4.0, fail())


async def test_who_is_canceled_leaves_nothing_behind(quiet_clock: QuietClock) -> None:
    waiting = asyncio.ensure_future(wait_within(quiet_clock, 4.0, asyncio.Event().wait()))
    await asyncio.sleep(0.0)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert waiting.cancelled()
    assert asyncio.all_tasks() == {asyncio.current_task()}
