"""Fetching from real servers on loopback, good and bad: a body, or the reason why there is none."""

from __future__ import annotations

import asyncio
import gzip
import random
import socket
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapter.collector.fetch import FetchedPage, PageUnusable
from adapter.collector.options import ScrapeOptions
from optimizer.domain import Reason, ReasonCode
from tests.builders import fake_servers
from tests.builders.fake_servers import Answer, FakeServers, answer_with, respond
from tests.builders.fetching import PATIENT, fetching, get_reason
from tests.builders.stepped_clock import SteppedClock, until

HASTY = ScrapeOptions(timeout_s=0.2)
TRUSTING = replace(PATIENT, insecure_tls=True)
SHORT = ScrapeOptions(timeout_s=30.0, max_page_bytes=100_000)


async def test_body_comes_as_sent_whatever_it_is_called(servers: FakeServers, clock: SteppedClock) -> None:
    body = b"\x00vllm:x 1\n" * 10_000
    for content_type in ("text/plain", "application/octet-stream", "application/openmetrics-text"):
        pod = await servers.open(answer_with(body, content_type=content_type))
        async with fetching(PATIENT, clock) as fetcher:
            assert (await fetcher.fetch(pod.url + "/metrics")).body == body


async def test_asks_for_plain_text_uncompressed_and_without_cookies(servers: FakeServers, clock: SteppedClock) -> None:
    pod = await servers.open(answer_with(b"x 1\n", headers={"Set-Cookie": "a=b"}))
    async with fetching(PATIENT, clock) as fetcher:
        await fetcher.fetch(pod.url)
        await fetcher.fetch(pod.url)
    assert pod.requests[1].headers["Accept"] == "text/plain"
    assert pod.requests[1].headers["Accept-Encoding"] == "identity"
    assert "Cookie" not in pod.requests[1].headers


async def test_compressed_body_is_understood_all_the_same(servers: FakeServers, clock: SteppedClock) -> None:
    pod = await servers.open(answer_with(gzip.compress(b"x 1\n"), headers={"Content-Encoding": "gzip"}))
    async with fetching(PATIENT, clock) as fetcher:
        assert (await fetcher.fetch(pod.url)).body == b"x 1\n"


async def test_compressed_body_is_measured_unpacked(servers: FakeServers, clock: SteppedClock) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    assert len(bomb) < SHORT.max_page_bytes
    pod = await servers.open(answer_with(bomb, headers={"Content-Encoding": "gzip"}))
    assert (await get_reason(pod.url, clock, SHORT)).code is ReasonCode.BAD_PAGE


async def test_page_is_of_the_moment_it_was_asked_for_however_late_the_answer(
    servers: FakeServers, clock: SteppedClock
) -> None:
    may_answer = asyncio.Event()

    async def answer(_request: web.Request) -> web.Response:
        await may_answer.wait()
        return web.Response(body=b"x 1\n")

    pod = await servers.open(answer)
    async with fetching(PATIENT, clock) as fetcher:
        asked_s = clock.now_s()
        task = asyncio.ensure_future(fetcher.fetch(pod.url))
        await until(lambda: bool(pod.requests))
        await clock.run_to(asked_s + 7.0)
        may_answer.set()
        assert await task == FetchedPage(b"x 1\n", asked_s)


class PassingClock(SteppedClock):
    """Stands still until somebody lets time pass."""

    passed_s = 0.0

    def now_s(self) -> float:
        return super().now_s() + self.passed_s


async def test_wait_for_a_connection_comes_before_the_question(data_dir: Path) -> None:
    clock = PassingClock()

    def greet(*_hello: object) -> None:
        clock.passed_s += 3.0

    async def answer(_request: web.Request) -> web.Response:
        clock.passed_s += 7.0
        return web.Response(body=b"x 1\n")

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(data_dir / "tls" / "server.pem", data_dir / "tls" / "server.key")
    context.sni_callback = greet  # in the middle of the handshake
    app = web.Application()
    app.router.add_get("/metrics", answer)
    begun_s = clock.now_s()
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=context)
    async with server, fetching(TRUSTING, clock) as fetcher:
        page = await fetcher.fetch(str(server.make_url("/metrics")))
    assert (page.time_s - begun_s, clock.passed_s) == (3.0, 10.0)


@pytest.mark.parametrize(
    "answer, code, words",
    [
        (fake_servers.answer_error, ReasonCode.SCRAPE_FAILED, "answered 500"),
        (fake_servers.answer_reset, ReasonCode.SCRAPE_FAILED, "ServerDisconnectedError"),
        (fake_servers.answer_broken_off, ReasonCode.SCRAPE_FAILED, "ClientPayloadError"),
    ],
)
async def test_bad_answer_is_a_reason(
    servers: FakeServers, clock: SteppedClock, answer: Answer, code: ReasonCode, words: str
) -> None:
    pod = await servers.open(answer)
    reason = await get_reason(pod.url + "/metrics", clock)
    assert reason.code is code
    assert words in reason.message
    assert pod.url in reason.message


@pytest.mark.parametrize("answer", [fake_servers.answer_never, fake_servers.answer_dripping])
async def test_slow_answer_is_given_up(servers: FakeServers, clock: SteppedClock, answer: Answer) -> None:
    pod = await servers.open(answer)
    reason = await get_reason(pod.url, clock, HASTY)
    assert reason == Reason(ReasonCode.SCRAPE_TIMEOUT, f"{pod.url} took longer than 0.2 s")


async def test_endless_body_is_given_up_at_its_limit(servers: FakeServers, clock: SteppedClock) -> None:
    pod = await servers.open(fake_servers.answer_endless)
    reason = await get_reason(pod.url, clock, SHORT)
    assert reason == Reason(ReasonCode.BAD_PAGE, f"{pod.url} is longer than 100000 bytes")


async def test_body_of_exactly_the_limit_is_taken(servers: FakeServers, clock: SteppedClock) -> None:
    pod = await servers.open(answer_with(bytes(SHORT.max_page_bytes)))
    async with fetching(SHORT, clock) as fetcher:
        assert len((await fetcher.fetch(pod.url)).body) == SHORT.max_page_bytes


async def test_nobody_there_is_a_reason(clock: SteppedClock) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    reason = await get_reason(f"http://127.0.0.1:{port}/metrics", clock)
    assert reason.code is ReasonCode.SCRAPE_FAILED
    assert "ClientConnectorError" in reason.message


@pytest.mark.parametrize(
    "url",
    ["", "metrics", "http://", "ftp://127.0.0.1/x", "http://127.0.0.1:99999/", "http://127.0.0.1:x/", "http://[1/"],
)
async def test_address_that_is_none_is_a_reason(clock: SteppedClock, url: str) -> None:
    assert (await get_reason(url, clock)).code is ReasonCode.SCRAPE_FAILED


@pytest.mark.parametrize("place", ["127.0.0.1:1", "127.0.0.1:x"])
async def test_reason_shows_no_credentials(clock: SteppedClock, place: str) -> None:
    reason = await get_reason(f"http://someone:secret@{place}/metrics", clock)
    assert f"http://{place}/metrics" in reason.message
    assert "secret" not in reason.message


async def test_no_bytes_whatever_make_it_fail_otherwise(servers: FakeServers, clock: SteppedClock) -> None:
    chance = random.Random(7)
    answers = [_make_hostile_answer(chance) for _ in range(300)]
    url = await servers.open_raw(*answers)
    outcomes: set[object] = set()
    async with fetching(SHORT, clock) as fetcher:
        for _ in answers:
            try:
                outcomes.add(type(await fetcher.fetch(url, keep_alive=False)))
            except PageUnusable as failure:
                outcomes.add(failure.reason.code)
    assert outcomes == {FetchedPage, ReasonCode.SCRAPE_FAILED, ReasonCode.BAD_PAGE}


def _make_hostile_answer(chance: random.Random) -> bytes:
    head = chance.choice(
        [
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200\r\n",
            b"HTTP/9.9 200 OK\r\n",
            b"HTTP/1.1 999 What\r\n",
            b"HTTP/1.1 -1 What\r\n",
            b"HTTP/1.1 302 Found\r\nLocation: http://[::\r\n",
            b"HTTP/1.1 302 Found\r\nLocation: gopher://x\r\n",
            b"HTTP/1.1 302 Found\r\n",
            b"SSH-2.0-OpenSSH_9\r\n",
            b"",
        ]
    )
    headers = b"".join(
        chance.choice(
            [
                b"Content-Length: 10\r\n",
                b"Content-Length: -5\r\n",
                b"Content-Length: 1e3\r\n",
                b"Transfer-Encoding: chunked\r\n",
                b"Transfer-Encoding: gzip, chunked\r\n",
                b"Content-Encoding: gzip\r\n",
                b"Content-Encoding: deflate\r\n",
                b"Content-Type: \xff\xfe\r\n",
                b"Set-Cookie: a=\x01; path\r\n",
                b"X: " + b"y" * chance.choice([10, 10_000, 100_000]) + b"\r\n",
                b"no colon\r\n",
                b": empty\r\n",
            ]
        )
        for _ in range(chance.randrange(4))
    )
    body = chance.choice([b"", b"x 1\n", chance.randbytes(50), b"5\r\nabcde\r\n0\r\n\r\n", b"zz\r\n", bytes(200_000)])
    return head + headers + chance.choice([b"\r\n", b""]) + body


# --- Redirects --------------------------------------------------------------------------------------------------------
async def test_redirect_on_the_same_server_is_followed(servers: FakeServers, clock: SteppedClock) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/metrics":
            return respond(b"", status=307, headers={"Location": "/metrics/"})
        return respond(b"x 1\n")

    pod = await servers.open(answer)
    async with fetching(PATIENT, clock) as fetcher:
        assert (await fetcher.fetch(pod.url + "/metrics")).body == b"x 1\n"


async def test_redirect_to_another_server_is_not_followed(
    servers: FakeServers, clock: SteppedClock, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("secret")
    other = await servers.open()
    pod = await servers.open(answer_with(b"", status=302, headers={"Location": other.url + "/metrics"}))
    reason = await get_reason(pod.url, clock, replace(PATIENT, bearer_token_file=str(tmp_path / "token")))
    assert reason == Reason(ReasonCode.SCRAPE_FAILED, f"{pod.url} redirects to {other.url}, which is not followed")
    assert other.requests == []


async def test_redirects_in_a_circle_end(servers: FakeServers, clock: SteppedClock) -> None:
    pod = await servers.open(answer_with(b"", status=301, headers={"Location": "/x"}))
    reason = await get_reason(pod.url + "/x", clock)
    assert reason == Reason(ReasonCode.SCRAPE_FAILED, f"{pod.url}/x redirects more than 3 times")


# --- Connections ------------------------------------------------------------------------------------------------------
async def test_connection_is_kept_for_the_next_page(servers: FakeServers, clock: SteppedClock) -> None:
    pod = await servers.open()
    async with fetching(PATIENT, clock) as fetcher:
        for _ in range(3):
            await fetcher.fetch(pod.url)
        assert len(set(pod.connections)) == 1
        assert all("Connection" not in request.headers for request in pod.requests)


async def test_connection_is_given_up_where_it_shall_not_be_kept(servers: FakeServers, clock: SteppedClock) -> None:
    pod = await servers.open()
    async with fetching(PATIENT, clock) as fetcher:
        for _ in range(3):
            await fetcher.fetch(pod.url, keep_alive=False)
        assert len(set(pod.connections)) == 3


async def test_connection_that_the_server_closed_meanwhile_is_replaced(
    servers: FakeServers, clock: SteppedClock
) -> None:
    pod = await servers.open()
    async with fetching(PATIENT, clock) as fetcher:
        await fetcher.fetch(pod.url)
        transport = pod.requests[0].transport
        assert transport is not None
        transport.close()  # as a server does that keeps idle connections for 5 s
        assert (await fetcher.fetch(pod.url)).body


# --- Changing ---------------------------------------------------------------------------------------------------------
async def test_new_options_hold_from_the_next_page_on(servers: FakeServers, clock: SteppedClock) -> None:
    pod = await servers.open()
    async with fetching(PATIENT, clock) as fetcher:
        assert (await fetcher.fetch(pod.url)).body
        fetcher.reconfigure(replace(PATIENT, max_page_bytes=1000))
        with pytest.raises(PageUnusable, match="longer than 1000 bytes"):
            await fetcher.fetch(pod.url)
        fetcher.reconfigure(PATIENT)
        assert (await fetcher.fetch(pod.url)).body
