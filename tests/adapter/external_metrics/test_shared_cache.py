"""Answers are asked for once, remembered for a while, bounded in number; failures are not remembered."""

from __future__ import annotations

import asyncio

import pytest

from adapter.errors import Unreachable
from adapter.external_metrics.answers import StatusError
from adapter.external_metrics.shared_cache import SharedCache
from tests.builders.decisions import ManualClock


class Oracle:
    """Answers with how often it was asked, once it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.failure: Exception | None = None
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self) -> int:
        self.asked += 1
        await self.may_answer.wait()
        if self.failure is not None:
            raise self.failure
        return self.asked


def make_cache(clock: ManualClock, **bounds: int) -> SharedCache[int, int]:
    return SharedCache(clock, 10.0, **bounds)


async def test_an_answer_counts_for_its_time_and_no_longer() -> None:
    clock, oracle = ManualClock(), Oracle()
    cache = make_cache(clock)
    assert [await cache.get(1, oracle) for _ in range(3)] == [1, 1, 1]
    clock.time_s += 9.99
    assert await cache.get(1, oracle) == 1
    clock.time_s += 0.02
    assert await cache.get(1, oracle) == 2


async def test_all_who_ask_at_once_share_one_question() -> None:
    oracle, cache = Oracle(), make_cache(ManualClock())
    oracle.may_answer.clear()
    waiting = [asyncio.create_task(cache.get(1, oracle)) for _ in range(20)]
    await asyncio.sleep(0)
    waiting[0].cancel()  # who goes away takes the answer from nobody else
    oracle.may_answer.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1:] == [1] * 19


async def test_failures_reach_all_and_are_forgotten() -> None:
    oracle, cache = Oracle(), make_cache(ManualClock())
    oracle.failure = Unreachable("away")
    answers = await asyncio.gather(*(cache.get(1, oracle) for _ in range(3)), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["away"] * 3
    oracle.failure = None
    assert await cache.get(1, oracle) == 2


async def test_the_oldest_answers_go_first() -> None:
    oracle, cache = Oracle(), make_cache(ManualClock(), max_entries=3)
    for key in (1, 2, 3, 4):
        await cache.get(key, oracle)
    assert len(cache) == 3
    assert await cache.get(2, oracle) == 2
    assert await cache.get(1, oracle) == 5


async def test_too_many_questions_at_once_are_refused() -> None:
    oracle, cache = Oracle(), make_cache(ManualClock(), max_under_way=2)
    oracle.may_answer.clear()
    waiting = [asyncio.create_task(cache.get(key, oracle)) for key in (1, 2)]
    await asyncio.sleep(0)
    with pytest.raises(StatusError, match="2 reviews") as refusal:
        await cache.get(3, oracle)
    assert refusal.value.code == 429
    oracle.may_answer.set()
    await asyncio.gather(*waiting)
    assert await cache.get(3, oracle) == 3
