"""The load generator sends what is due when it is due, and notes engine time and the client's own view apart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from aiohttp import web

from adapter.demo.engine_server import EngineServer
from adapter.demo.engine_settings import EngineSettings
from adapter.demo.load import LoadGenerator
from adapter.demo.request_log import Fate, RequestLog
from adapter.demo.scenarios import Arrival
from optimizer.domain import IterationLaw, LatencyQuantity, ModelKey, Slo
from tests.builders.stepped_clock import START_S, SteppedClock, until

KEY = ModelKey("default", "llama-8b")
SLOS = (Slo(LatencyQuantity.TTFT, 1.0), Slo(LatencyQuantity.ITL, 0.025))


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
async def engine(clock: SteppedClock) -> AsyncIterator[EngineServer]:
    server = EngineServer(EngineSettings("llama-8b", IterationLaw(0.02, 1e-6, 1e-9, 1e-6), 100_000), clock)
    await server.start()
    yield server
    await server.stop()


def make_arrivals(*offsets_s: float) -> Sequence[Arrival]:
    return [Arrival(offset_s, KEY, 100, 11) for offset_s in offsets_s]


async def test_requests_go_out_when_due_and_bring_engine_time_back(clock: SteppedClock, engine: EngineServer) -> None:
    log = RequestLog({KEY: SLOS})
    generator = LoadGenerator(clock, engine.url, log)
    run = asyncio.create_task(generator.run(iter(make_arrivals(1.0, 5.0)), START_S))
    await asyncio.sleep(0)
    await clock.run_to(START_S + 4.0)
    assert [record.arrived_s for record in log.records] == [START_S + 1.0]
    await until(lambda: engine.running_requests == 1)
    while not run.done():
        await clock.run_to(clock.now_s() + 0.01)
        await asyncio.sleep(0.001)
    await run
    assert [record.fate for record in log.records] == [Fate.FINISHED] * 2
    for record in log.records:
        assert record.ttft_s == pytest.approx(0.0201, abs=1e-4)
        assert record.itl_s == pytest.approx(0.02, abs=1e-4)
        assert record.client_end_s is not None
        assert record.client_first_s is not None
        assert record.arrived_s <= record.client_first_s <= record.client_end_s
    assert log.judged[KEY].ratio == 1.0
    assert generator.take_lateness_s() == 0.0


class ScriptedRouter:
    """Answers as a test tells it."""

    def __init__(self) -> None:
        self.status = 200
        self.body = b""
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        headers = {"X-Served-By": "pod-1", "X-Held-Seconds": "2.5"}
        return web.Response(status=self.status, body=self.body, headers=headers)


@pytest.fixture
async def router() -> AsyncIterator[ScriptedRouter]:
    scripted = ScriptedRouter()
    app = web.Application()
    app.router.add_post("/v1/completions", scripted.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    scripted.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield scripted
    await runner.cleanup()


TIMES = b'data: {"choices":[],"engine_time":{"ttft_s":0.5,"itl_s":null,"ttlt_s":0.5}}\n\n'
DONE = b"data: [DONE]\n\n"


async def play_one(clock: SteppedClock, router: ScriptedRouter) -> RequestLog:
    log = RequestLog({KEY: SLOS})
    await LoadGenerator(clock, router.url, log).run(iter(make_arrivals(0.0)), START_S)
    return log


async def test_time_held_counts_as_waiting_for_the_first_token(clock: SteppedClock, router: ScriptedRouter) -> None:
    router.body = TIMES + DONE
    log = await play_one(clock, router)
    record = log.records[0]
    assert (record.fate, record.replica, record.held_s) == (Fate.FINISHED, "pod-1", 2.5)
    assert (record.ttft_s, record.itl_s, record.ttlt_s) == (3.0, None, 3.0)
    assert log.judged[KEY].ratio == 0.0


@pytest.mark.parametrize(
    "status, body, fate",
    [
        (503, b"{}", Fate.REFUSED),
        (502, b"{}", Fate.FAILED),
        (200, TIMES, Fate.FAILED),
        (200, DONE, Fate.FAILED),
        (200, b"data: garbage\n\n" + DONE, Fate.FAILED),
    ],
)
async def test_what_is_refused_or_cut_short_is_a_miss(
    clock: SteppedClock, router: ScriptedRouter, status: int, body: bytes, fate: Fate
) -> None:
    router.status, router.body = status, body
    log = await play_one(clock, router)
    assert log.fates == {(KEY, fate): 1}
    assert (log.judged[KEY].requests, log.judged[KEY].met) == (1, 0)


async def test_nobody_there_is_a_miss(clock: SteppedClock) -> None:
    log = RequestLog({KEY: SLOS})
    await LoadGenerator(clock, "http://127.0.0.1:1", log).run(iter(make_arrivals(0.0)), START_S)
    assert log.fates == {(KEY, Fate.FAILED): 1}


async def test_canceling_lets_go_of_what_is_under_way(clock: SteppedClock, engine: EngineServer) -> None:
    log = RequestLog({KEY: SLOS})
    run = asyncio.create_task(LoadGenerator(clock, engine.url, log).run(iter(make_arrivals(0.0)), START_S))
    await until(lambda: engine.running_requests == 1)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await until(lambda: engine.running_requests == 0)
    assert log.records[0].fate is Fate.OPEN
    assert log.judge_open(START_S + 0.5) == {}
    assert log.judge_open(START_S + 1.5)[KEY].requests == 1
