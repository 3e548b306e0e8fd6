"""A simulated replica over real HTTP: what it answers, how its counters move when clients leave, and how late it is."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client.parser import text_string_to_metric_families

from adapter.clock import ScaledClock
from adapter.collector.read_page import read_page
from adapter.demo.completion import CompletionText
from adapter.demo.engine_server import EngineServer, EngineSettings
from adapter.demo.exchange import Exchange
from optimizer.demand import compute_window
from optimizer.domain import DemandSource, IterationLaw, PodKey
from optimizer.errors import InvalidInput
from optimizer.simulation import RequestOutcome
from tests.builders.stepped_clock import until

LONG = 20_000  # tokens; nobody waits for the end of such a request

# --- What it answers --------------------------------------------------------------------------------------------------


async def test_a_stream_brings_a_token_an_event_then_usage_then_the_mark(make_bench: Callable[..., Any]) -> None:
    bench = await make_bench()
    client = await bench.open_stream(prompt="a b c d", max_tokens=7)
    assert client.response.headers["Content-Type"].startswith("text/event-stream")
    await bench.run(1.0)
    frames = await client.read()
    assert frames[-1] == "[DONE]"
    *tokens, usage = [json.loads(frame) for frame in frames[:-1]]
    assert [frame["choices"][0]["text"] for frame in tokens] == [" w"] * 7
    assert [frame["choices"][0]["finish_reason"] for frame in tokens] == [None] * 6 + ["length"]
    assert usage["choices"] == []
    assert usage["usage"] == {"prompt_tokens": 4, "completion_tokens": 7, "total_tokens": 11}
    assert {frame["id"] for frame in tokens} == {usage["id"]}


async def test_the_answer_carries_the_times_in_the_engine(make_bench: Callable[..., Any]) -> None:
    bench = await make_bench()
    client = await bench.open_stream(prompt=[5] * 1000, max_tokens=50)
    await bench.run(5.0)
    usage = json.loads((await client.read())[-2])
    itl_s = 0.01 + 2e-4 + 3e-7 * (1000 + 25)
    assert usage["engine_time"]["ttft_s"] == pytest.approx(0.01 + 5e-5 * 1000, rel=1e-4)
    assert usage["engine_time"]["itl_s"] == pytest.approx(itl_s, rel=1e-4)
    assert usage["engine_time"]["ttlt_s"] == pytest.approx(0.06 + 49 * itl_s, rel=1e-4)
    [ended] = bench.ended
    assert (ended.ttft_s, ended.itl_s, ended.ttlt_s) == tuple(usage["engine_time"].values())


async def test_without_streaming_the_answer_comes_whole(make_bench: Callable[..., Any]) -> None:
    bench = await make_bench()
    asking = asyncio.create_task(bench.post(prompt=[1, 2, 3], max_tokens=5))
    await until(lambda: bench.server.running_requests == 1)
    await bench.run(1.0)
    document = await (await asking).json()
    assert document["choices"][0]["text"] == " w w w w w"
    assert document["usage"] == {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
    assert document["engine_time"]["ttft_s"] == pytest.approx(0.01 + 5e-5 * 3, rel=1e-4)


async def test_without_ignore_eos_lengths_are_drawn_and_a_short_one_stops(make_bench: Callable[..., Any]) -> None:
    bench = await make_bench(mean_output_tokens=20.0, max_running_requests=256)
    clients = [await bench.open_stream(max_tokens=200, ignore_eos=False) for _ in range(60)]
    await bench.run(60.0)
    ends = [json.loads((await client.read())[-2])["usage"]["completion_tokens"] for client in clients]
    assert 12 < sum(ends) / len(ends) < 30
    assert [ended.request.output_tokens for ended in bench.ended if ended.request.output_tokens == 200] == []
    again = await make_bench(mean_output_tokens=20.0, max_running_requests=256)
    repeated = [await again.open_stream(max_tokens=200, ignore_eos=False) for _ in range(60)]
    await again.run(60.0)
    assert [json.loads((await client.read())[-2])["usage"]["completion_tokens"] for client in repeated] == ends


async def test_it_says_which_model_and_version_it_serves(make_bench: Callable[..., Any]) -> None:
    bench = await make_bench(version="0.32.0")
    [model] = json.loads(await bench.fetch("/v1/models"))["data"]
    assert (model["id"], model["max_model_len"]) == ("llama-8b", 100_000)
    assert json.loads(await bench.fetch("/version")) == {"version": "0.32.0"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": "other"}, "model must be 'llama-8b'"),
        ({"prompt": ""}, "at least one token"),
        ({"prompt": ["a", "b"]}, "one text or one list of tokens"),
        ({"prompt": None}, "one text or one list of tokens"),
        ({"max_tokens": 0}, "max_tokens must be >= 1"),
        ({"max_tokens": "7"}, "max_tokens must be >= 1"),
        ({"max_tokens": 100_000}, "together must be <= 100000"),
        ({"n": 2}, "n must be 1"),
    ],
)
async def test_a_bad_request_is_refused_by_the_name_of_its_field(
    make_bench: Callable[..., Any], fields: dict[str, object], message: str
) -> None:
    bench = await make_bench()
    response = await bench.post(**fields)
    assert response.status == 400
    assert message in (await response.json())["error"]["message"]
    assert bench.server.running_requests == 0


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
async def test_the_page_of_an_idle_server_differs_at_every_answer(make_bench: Callable[..., Any], engine: str) -> None:
    """By this a copy that stands still is told from a server without work."""
    bench = await make_bench(engine=engine)
    assert len({await bench.fetch("/metrics") for _ in range(4)}) == 4


async def test_it_refuses_work_until_its_start_is_over(make_bench: Callable[..., Any]) -> None:
    bench = await make_bench(ready_in_s=10.0)

    async def ask() -> list[int]:
        statuses = []
        for path in ("/health", "/metrics", "/v1/models"):
            async with bench.session.get(bench.server.url + path) as response:
                statuses.append(response.status)
        return statuses

    assert (await ask(), bench.server.is_ready) == ([503, 503, 503], False)
    await bench.run(10.0)
    assert (await ask(), bench.server.is_ready) == ([200, 200, 200], True)


async def test_two_servers_listen_on_ports_of_their_own_and_stop_twice(make_bench: Callable[..., Any]) -> None:
    first, second = await make_bench(), await make_bench()
    assert first.server.url != second.server.url
    await first.server.stop()
    await first.server.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await first.fetch("/health")


async def test_a_stopped_server_drops_its_clients_and_reports_them_as_left(make_bench: Callable[..., Any]) -> None:
    bench = await make_bench()
    client = await bench.open_stream(max_tokens=LONG)
    await bench.run(1.0)
    await bench.server.stop()
    with pytest.raises(aiohttp.ClientError):
        await client.read()
    assert [ended.outcome for ended in bench.ended] == [RequestOutcome.LEFT]


def test_settings_out_of_bounds_are_a_wrong_call() -> None:
    law = IterationLaw(0.01, 0.0, 0.0, 0.0)
    with pytest.raises(InvalidInput, match="cached_ratio"):
        EngineSettings("m", law, 1000, cached_ratio=1.5)
    with pytest.raises(InvalidInput, match="max_model_tokens"):
        EngineSettings("m", law, 1000, max_model_tokens=2000)
    with pytest.raises(InvalidInput, match="mean_output_tokens"):
        EngineSettings("m", law, 1000, mean_output_tokens=0.0)


# --- Arrivals, when clients leave -------------------------------------------------------------------------------------


def sum_samples(page: str, name: str, **labels: str) -> float:
    """Sum of the samples called `name` that carry `labels`."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def count_arrivals(before: str, after: str) -> tuple[float, float, float]:
    """Arrivals between two pages by the finished (A), the first tokens (B) and the ended HTTP requests (C)."""

    def moved(name: str, **labels: str) -> float:
        return sum_samples(after, name, **labels) - sum_samples(before, name, **labels)

    waiting = moved("vllm:num_requests_waiting")
    in_flight = waiting + moved("vllm:num_requests_running")
    rejected = moved("vllm:admission_rejections_total")
    http = sum(moved("http_requests_total", handler="/v1/completions", status=status) for status in ("2xx", "5xx"))
    return (
        moved("vllm:request_success_total") + in_flight + rejected,
        moved("vllm:time_to_first_token_seconds_count") + waiting + rejected,
        http + in_flight,
    )


async def play_all_leave(bench: Any) -> None:
    """Ten long requests on four slots, eight refused with 503, then every client leaves."""
    clients = [await bench.open_stream(max_tokens=LONG) for _ in range(10)]
    for _ in range(8):
        async with await bench.post(stream=True, max_tokens=LONG) as refused:
            assert refused.status == 503
    await bench.run(2.0)
    assert (bench.server.running_requests, bench.server.waiting_requests) == (4, 6)
    for client in clients:
        client.leave()
    await bench.drain()
    await bench.run(1.0)


async def play_some_leave(bench: Any) -> None:
    """Eight streams on four slots; three running and three queued clients leave, two requests finish."""
    clients = [await bench.open_stream(max_tokens=500 if number in {3, 7} else LONG) for number in range(8)]
    await bench.run(2.0)
    assert (bench.server.running_requests, bench.server.waiting_requests) == (4, 4)
    for number in (0, 1, 2, 4, 5, 6):
        clients[number].leave()
    await until(lambda: bench.server.running_requests + bench.server.waiting_requests == 2)
    await bench.run(30.0)
    for number in (3, 7):
        assert (await clients[number].read())[-1] == "[DONE]"
    await bench.drain()


@pytest.mark.parametrize(
    ("play", "counts"),
    [(play_all_leave, (8, 12, 18)), (play_some_leave, (2, 5, 8))],
    ids=["all leave", "some leave"],
)
async def test_disconnects_tell_the_three_counts_of_arrivals_apart(
    make_bench: Callable[..., Any], play: Callable[[Any], Any], counts: tuple[float, float, float]
) -> None:
    """Finished / first tokens / HTTP, as measured on vLLM 0.32 for the same two stories."""
    bench = await make_bench(max_running_requests=4, max_queued_requests=10)
    before = await bench.fetch("/metrics")
    await play(bench)
    after = await bench.fetch("/metrics")
    assert count_arrivals(before, after) == counts
    pod = PodKey("default", "pod")
    older, newer = (read_page(page.encode(), "vllm", pod, time_s)[0] for page, time_s in ((before, 1.0), (after, 40.0)))
    window = compute_window(older, newer)
    assert (window.source, window.arrivals) == (DemandSource.HTTP_REQUESTS, counts[2])


@pytest.mark.parametrize(("play", "arrivals"), [(play_all_leave, 18), (play_some_leave, 8)])
async def test_sglang_counts_every_request_at_arrival(
    make_bench: Callable[..., Any], play: Callable[[Any], Any], arrivals: int
) -> None:
    bench = await make_bench(engine="sglang", max_running_requests=4, max_queued_requests=10)
    await play(bench)
    page = await bench.fetch("/metrics")
    assert sum_samples(page, "sglang:http_requests_total", endpoint="/v1/completions") == arrivals
    left = sum(ended.outcome is RequestOutcome.LEFT for ended in bench.ended)
    assert sum_samples(page, "sglang:num_aborted_requests_total") == left
    assert sum_samples(page, "sglang:http_requests_active", endpoint="/v1/completions") == 0


async def test_records_tell_how_each_request_ended(make_bench: Callable[..., Any]) -> None:
    bench = await make_bench(max_running_requests=4, max_queued_requests=10)
    await play_all_leave(bench)
    outcomes = [ended.outcome for ended in bench.ended]
    assert outcomes.count(RequestOutcome.REJECTED) == 8
    assert outcomes.count(RequestOutcome.LEFT) == 10
    assert sum(ended.ttft_s is not None for ended in bench.ended) == 4


async def test_a_client_that_leaves_before_a_whole_answer_is_noticed_too(make_bench: Callable[..., Any]) -> None:
    bench = await make_bench()
    asking = asyncio.create_task(bench.post(max_tokens=LONG))
    await until(lambda: bench.server.running_requests == 1)
    await bench.run(1.0)
    asking.cancel()
    await bench.drain()
    page = await bench.fetch("/metrics")
    assert sum_samples(page, "http_requests_total", status="2xx") == 1
    assert sum_samples(page, "vllm:request_success_total") == 0
    assert [ended.outcome for ended in bench.ended] == [RequestOutcome.LEFT]


async def test_a_client_gone_before_its_answer_begins_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    answered = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        response = await Exchange(CompletionText("cmpl-1", "m", 0), 0.0, is_streaming=True).stream(request)
        answered.set()
        return response

    app = web.Application()
    app.router.add_get("/", answer)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get(server.make_url("/"))
        await answered.wait()
    assert caplog.records == []


async def test_a_broken_run_is_reported_to_clients_and_when_it_stops() -> None:
    def break_down(_: object) -> None:
        raise RuntimeError("broken")

    server = EngineServer(
        EngineSettings("m", IterationLaw(1e-4, 0.0, 0.0, 0.0), 1000), ScaledClock.starting_now(), on_end=break_down
    )
    await server.start()
    body = {"prompt": "a", "max_tokens": 3, "stream": True}
    async with aiohttp.ClientSession() as session, session.post(f"{server.url}/v1/completions", json=body) as first:
        await first.content.readany()
        statuses = {first.status}
        while 500 not in statuses:  # the run breaks at its third token
            async with session.post(f"{server.url}/v1/completions", json=body) as other:
                statuses.add(other.status)
    with pytest.raises(RuntimeError, match="broken"):
        await server.stop()


async def test_a_client_that_does_not_read_holds_up_nobody(make_bench: Callable[..., Any]) -> None:
    bench = await make_bench()
    loop = asyncio.get_running_loop()
    idler = socket.socket()
    idler.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    idler.setblocking(False)
    body = json.dumps({"prompt": "a", "max_tokens": LONG, "stream": True, "ignore_eos": True})
    await loop.sock_connect(idler, ("127.0.0.1", int(bench.server.url.rsplit(":", 1)[1])))
    head = f"POST /v1/completions HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n\r\n"
    await loop.sock_sendall(idler, (head + body).encode())
    await until(lambda: bench.server.running_requests == 1)
    client = await bench.open_stream(max_tokens=LONG // 2)
    await bench.run(LONG * 0.02)
    assert json.loads((await client.read())[-2])["usage"]["completion_tokens"] == LONG // 2
    assert len(bench.ended) == 2
    idler.close()


# --- Time -------------------------------------------------------------------------------------------------------------


async def test_under_a_fast_clock_tokens_share_events_and_none_is_lost() -> None:
    law = IterationLaw(0.01, 0.0, 0.0, 0.0)
    server = EngineServer(EngineSettings("m", law, 100_000), ScaledClock.starting_now(speed=100.0))
    await server.start()
    try:
        async with aiohttp.ClientSession() as session:
            body = {"prompt": "a", "max_tokens": 3000, "stream": True, "ignore_eos": True}
            async with session.post(f"{server.url}/v1/completions", json=body) as response:
                frames = [line[6:] async for line in response.content if line.startswith(b"data: {")]
    finally:
        await server.stop()
    documents = [json.loads(frame) for frame in frames]
    texts = [choice["text"] for document in documents for choice in document["choices"]]
    assert sum(text.count("w") for text in texts) == 3000
    assert len(texts) < 1500
    assert documents[-1]["engine_time"]["itl_s"] == pytest.approx(0.01, rel=1e-3)
    lag = server.take_lag()
    assert lag.wakes > 0
    assert lag.max_s >= lag.mean_s >= 0
    assert server.take_lag().wakes == 0


async def test_a_clock_that_is_never_late_shows_no_lag(make_bench: Callable[..., Any]) -> None:
    bench = await make_bench()
    client = await bench.open_stream(max_tokens=100)
    await bench.run(5.0)
    await client.read()
    lag = bench.server.take_lag()
    assert lag.wakes >= 100
    assert lag.max_s == pytest.approx(0.0, abs=1e-6)
