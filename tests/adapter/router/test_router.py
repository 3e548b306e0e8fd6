"""The router over real HTTP: choosing, holding, repeating, streaming, and letting go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import aiohttp
import pytest
from aiohttp import web

from adapter.clock import ScaledClock
from adapter.router import HoldingLimits, Replica, Router, RouterSettings
from optimizer import RoundRobin
from optimizer.domain import ModelKey

KEY = ModelKey("default", "llama-8b")
OTHER = ModelKey("other", "llama-8b")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class LeastRule:
    """The smallest load over rate goes first, the first of equals."""

    def choose(self, loads: Sequence[float], rates_per_s: Sequence[float]) -> int:
        ratios = [load / rate for load, rate in zip(loads, rates_per_s, strict=True)]
        return ratios.index(min(ratios))


class Upstreams:
    """Servers with scripted answers, closed at the end of a test."""

    def __init__(self) -> None:
        self._runners: list[web.AppRunner] = []

    async def open(self, name: str, handler: Handler, rate_per_s: float = 1.0) -> Replica:
        app = web.Application()
        app.router.add_post("/v1/completions", handler)
        app.router.add_post("/v1/chat/completions", handler)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._runners.append(runner)
        return Replica(name, f"http://127.0.0.1:{runner.addresses[0][1]}", rate_per_s)

    async def close(self) -> None:
        for runner in self._runners:
            await runner.cleanup()


@pytest.fixture
async def upstreams() -> AsyncIterator[Upstreams]:
    opened = Upstreams()
    yield opened
    await opened.close()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield session


@pytest.fixture
async def router() -> AsyncIterator[Router]:
    holding = HoldingLimits(max_requests=2, max_wait_s=60.0)
    opened = Router(RouterSettings(holding=holding), [KEY], LeastRule, ScaledClock.starting_now())
    await opened.start()
    yield opened
    await opened.stop()


def ask(
    client: aiohttp.ClientSession, router: Router, path: str = "/v1/completions", model: str = KEY.model_id
) -> aiohttp.client._RequestContextManager:
    return client.post(router.url + path, json={"model": model, "prompt": "hello", "stream": True})


async def answer_ok(request: web.Request) -> web.StreamResponse:
    return web.json_response({"seen": await request.json(), "path": request.path})


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


def free_replica() -> Replica:
    return Replica("gone", "http://127.0.0.1:1")


async def read_metric(client: aiohttp.ClientSession, router: Router, name: str) -> float:
    async with client.get(router.url + "/metrics") as response:
        page = await response.text()
    line = f'variant_autoscaler_router_{name}{{model="llama-8b",namespace="default"}}'
    return float(next(found.rpartition(" ")[2] for found in page.splitlines() if found.startswith(line)))


async def test_passes_the_request_and_the_answer_on(
    router: Router, upstreams: Upstreams, client: aiohttp.ClientSession
) -> None:
    router.update(KEY, [await upstreams.open("a", answer_ok)])
    async with ask(client, router, "/v1/chat/completions") as response:
        document = await response.json()
        assert (response.status, response.headers["X-Served-By"]) == (200, "a")
        assert float(response.headers["X-Held-Seconds"]) == 0.0
    assert document == {
        "seen": {"model": "llama-8b", "prompt": "hello", "stream": True},
        "path": "/v1/chat/completions",
    }


async def test_streams_each_piece_as_it_comes(
    router: Router, upstreams: Upstreams, client: aiohttp.ClientSession
) -> None:
    may_go_on = asyncio.Event()

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: one\n\n")
        await may_go_on.wait()
        await response.write(b"data: two\n\n")
        return response

    router.update(KEY, [await upstreams.open("a", stream)])
    async with ask(client, router) as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        assert await response.content.readany() == b"data: one\n\n"
        may_go_on.set()
        assert await response.content.read() == b"data: two\n\n"


async def test_each_request_takes_one_turn_of_a_rule_that_takes_turns(
    upstreams: Upstreams, client: aiohttp.ClientSession
) -> None:
    router = Router(RouterSettings(), [KEY], RoundRobin, ScaledClock.starting_now())
    await router.start()
    router.update(KEY, [await upstreams.open(name, answer_ok) for name in ("a", "b", "c", "d")])
    served = []
    for _ in range(8):
        async with ask(client, router) as response:
            served.append(response.headers["X-Served-By"])
    await router.stop()
    assert served == ["a", "b", "c", "d"] * 2


async def test_the_rule_sees_requests_in_hand_and_target_rates(
    router: Router, upstreams: Upstreams, client: aiohttp.ClientSession
) -> None:
    may_end = asyncio.Event()

    async def wait(request: web.Request) -> web.StreamResponse:
        await may_end.wait()
        return web.Response()

    router.update(KEY, [await upstreams.open("slow", wait, 1.0), await upstreams.open("fast", wait, 3.0)])

    async def post() -> str:
        async with ask(client, router) as response:
            return response.headers["X-Served-By"]

    tasks = []
    for number in range(8):
        tasks.append(asyncio.create_task(post()))
        await until(lambda: sum(router.count_in_hand(KEY).values()) == number + 1)  # noqa: B023
    assert router.count_in_hand(KEY) == {"slow": 2, "fast": 6}
    may_end.set()
    assert sorted(await asyncio.gather(*tasks)) == ["fast"] * 6 + ["slow"] * 2
    assert router.count_in_hand(KEY) == {"slow": 0, "fast": 0}


async def test_holds_requests_until_a_replica_is_ready(
    router: Router, upstreams: Upstreams, client: aiohttp.ClientSession
) -> None:
    async def post() -> tuple[int, float]:
        async with ask(client, router) as response:
            return response.status, float(response.headers["X-Held-Seconds"])

    held = asyncio.create_task(post())
    await until(lambda: router.count_waiting(KEY) == 1)
    assert await read_metric(client, router, "waiting_requests") == 1
    assert await read_metric(client, router, "requests_total") == 1
    router.update(KEY, [await upstreams.open("a", answer_ok)])
    status, held_s = await held
    assert status == 200
    assert held_s > 0
    assert await read_metric(client, router, "waiting_requests") == 0


async def test_refuses_beyond_the_bound_with_a_time_to_come_back(router: Router, client: aiohttp.ClientSession) -> None:
    held = [asyncio.create_task(ask(client, router)._coro) for _ in range(2)]
    await until(lambda: router.count_waiting(KEY) == 2)
    async with ask(client, router) as response:
        assert response.status == 503
        assert int(response.headers["Retry-After"]) > 0
        assert "no replica" in (await response.json())["error"]["message"]
    assert await read_metric(client, router, "requests_total") == 3
    assert await read_metric(client, router, "refused_total") == 1
    for task in held:
        task.cancel()
    await asyncio.gather(*held, return_exceptions=True)
    await until(lambda: router.count_waiting(KEY) == 0)


async def test_gives_up_holding_after_the_longest_wait(client: aiohttp.ClientSession) -> None:
    settings = RouterSettings(holding=HoldingLimits(max_wait_s=0.05))
    router = Router(settings, [KEY], LeastRule, ScaledClock.starting_now())
    await router.start()
    async with ask(client, router) as response:
        assert response.status == 503
    await router.stop()


async def test_repeats_on_another_replica_when_the_connection_fails(
    router: Router, upstreams: Upstreams, client: aiohttp.ClientSession
) -> None:
    router.update(KEY, [free_replica(), await upstreams.open("b", answer_ok)])
    async with ask(client, router) as response:
        assert (response.status, response.headers["X-Served-By"]) == (200, "b")
    assert await read_metric(client, router, "retries_total") == 1


async def test_repeats_when_the_replica_closes_before_the_first_byte(
    router: Router, upstreams: Upstreams, client: aiohttp.ClientSession
) -> None:
    async def close_at_once(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def close_after_the_headers(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        assert request.transport is not None
        request.transport.close()
        return response

    router.update(
        KEY,
        [
            await upstreams.open("a", close_at_once),
            await upstreams.open("b", close_after_the_headers),
            await upstreams.open("c", answer_ok),
        ],
    )
    async with ask(client, router) as response:
        assert (response.status, response.headers["X-Served-By"]) == (200, "c")


async def test_repeats_a_refusal_and_hands_the_last_one_on(
    router: Router, upstreams: Upstreams, client: aiohttp.ClientSession
) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.Response(status=503, text="full")

    full = await upstreams.open("a", refuse)
    router.update(KEY, [full, await upstreams.open("b", answer_ok)])
    async with ask(client, router) as response:
        assert response.headers["X-Served-By"] == "b"
    router.update(KEY, [full])
    async with ask(client, router) as response:
        assert (response.status, await response.text()) == (503, "full")


async def test_answers_502_when_no_replica_can_be_reached(router: Router, client: aiohttp.ClientSession) -> None:
    router.update(KEY, [free_replica()])
    async with ask(client, router) as response:
        assert response.status == 502
    assert await read_metric(client, router, "failed_total") == 1


async def test_never_repeats_once_a_byte_is_out(
    router: Router, upstreams: Upstreams, client: aiohttp.ClientSession
) -> None:
    async def break_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"data: one\n\n")
        await until(lambda: True)
        assert request.transport is not None
        request.transport.abort()
        return response

    router.update(KEY, [await upstreams.open("a", break_off), await upstreams.open("b", answer_ok)])
    with pytest.raises(aiohttp.ClientError):
        async with ask(client, router) as response:
            await response.read()
    assert router.count_in_hand(KEY) == {"a": 0, "b": 0}


async def test_a_client_that_leaves_ends_its_request_at_the_replica(
    router: Router, upstreams: Upstreams, client: aiohttp.ClientSession
) -> None:
    ended = asyncio.Event()

    async def stream_for_ever(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"data: x\n\n")
                await asyncio.sleep(0.005)
        finally:
            ended.set()

    router.update(KEY, [await upstreams.open("a", stream_for_ever)])
    async with ask(client, router) as response:
        await response.content.readany()
        response.close()
    async with asyncio.timeout(60):
        await ended.wait()
    await until(lambda: router.count_in_hand(KEY) == {"a": 0})


async def test_a_client_that_leaves_before_the_first_byte_does_so_too(
    router: Router, upstreams: Upstreams, client: aiohttp.ClientSession
) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def think_for_ever(request: web.Request) -> web.StreamResponse:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    async def post() -> None:
        async with ask(client, router):
            pass

    router.update(KEY, [await upstreams.open("a", think_for_ever)])
    task = asyncio.create_task(post())
    await began.wait()
    task.cancel()
    async with asyncio.timeout(60):
        await ended.wait()


async def test_tells_unknown_models_and_broken_bodies_apart(router: Router, client: aiohttp.ClientSession) -> None:
    async with ask(client, router, model="gpt-9") as response:
        assert response.status == 404
        assert "known: llama-8b" in (await response.json())["error"]["message"]
    async with client.post(router.url + "/v1/completions", data=b"{") as response:
        assert response.status == 400
    async with client.post(router.url + "/v1/completions", data=json.dumps([1]).encode()) as response:
        assert response.status == 404
    assert await read_metric(client, router, "requests_total") == 0


async def test_the_path_tells_equal_names_in_two_namespaces_apart(
    upstreams: Upstreams, client: aiohttp.ClientSession
) -> None:
    router = Router(RouterSettings(), [KEY, OTHER], LeastRule, ScaledClock.starting_now())
    await router.start()
    router.update(KEY, [await upstreams.open("a", answer_ok)])
    router.update(OTHER, [await upstreams.open("b", answer_ok)])
    async with ask(client, router) as response:
        assert response.status == 400
    async with ask(client, router, "/other/v1/completions") as response:
        assert response.headers["X-Served-By"] == "b"
        assert (await response.json())["path"] == "/v1/completions"
    await router.stop()
