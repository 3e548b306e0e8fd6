"""Many requests at a time, and a pace for those that can wait."""

from __future__ import annotations

import asyncio

import pytest

from adapter.errors import AdapterError, Denied, Unreachable
from adapter.kube.decisions.many import AT_ONCE, GIVE_UP_AFTER, take_turns, try_each
from adapter.kube.decisions.pace import WritePace


async def test_every_item_has_its_answer_in_order() -> None:
    async def work(item: int) -> int:
        await asyncio.sleep(0)
        if item % 3 == 0:
            raise Denied(str(item))
        return item * 10

    outcomes = await try_each(work, range(20))
    assert [str(entry) for entry in outcomes] == [str(item if item % 3 == 0 else item * 10) for item in range(20)]
    assert isinstance(outcomes[3], Denied)


async def test_only_so_many_are_under_way() -> None:
    under_way, most = 0, 0

    async def work(item: int) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1

    await try_each(work, range(100))
    assert most == AT_ONCE


async def test_silence_ends_it() -> None:
    tried = 0

    async def work(item: int) -> None:
        nonlocal tried
        tried += 1
        await asyncio.sleep(0)
        raise Unreachable("silent")

    outcomes = await try_each(work, range(100))
    assert all(isinstance(entry, Unreachable) for entry in outcomes)
    assert GIVE_UP_AFTER <= tried < GIVE_UP_AFTER + AT_ONCE


async def test_a_refusal_does_not_end_it() -> None:
    async def work(item: int) -> None:
        raise AdapterError("no")

    assert [str(entry) for entry in await try_each(work, range(30))] == ["no"] * 30


async def test_what_nobody_foresaw_is_not_swallowed() -> None:
    async def work(item: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup):
        await try_each(work, range(3))


async def test_others_have_their_turn() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    assert [item async for item in take_turns(range(1000))] == list(range(1000))
    task.cancel()
    assert turns >= 50


def test_a_pace_allows_a_burst_and_then_so_many_a_second() -> None:
    pace = WritePace(writes_per_s=0.5, burst=4)
    assert [pace.take(100.0) for _ in range(6)] == [True] * 4 + [False] * 2
    taken = sum(pace.take(100.0 + second) for second in range(1, 101) for _ in range(3))
    assert taken == 50
    assert sum(pace.take(1000.0) for _ in range(9)) == 4


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    pace = WritePace(writes_per_s=1.0, burst=1)
    assert pace.take(100.0)
    assert not pace.take(50.0)
    assert pace.take(51.0)
