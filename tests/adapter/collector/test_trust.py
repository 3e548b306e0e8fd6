"""Who we are to a page's server, and whom we believe: tokens and authorities from files that change, over real TLS."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from adapter.collector.fetch import PageFetcher, PageUnusable
from optimizer.domain import ReasonCode
from tests.builders.fake_servers import FakeServers, answer_with
from tests.builders.fetching import PATIENT, fetching, get_reason
from tests.builders.stepped_clock import SteppedClock


# --- Token ------------------------------------------------------------------------------------------------------------
async def test_token_is_sent_and_read_anew_each_time(servers: FakeServers, clock: SteppedClock, tmp_path: Path) -> None:
    file = tmp_path / "token"
    pod = await servers.open()
    async with fetching(replace(PATIENT, bearer_token_file=str(file)), clock) as fetcher:
        for token in ("first\n", " second "):
            file.write_text(token)
            await fetcher.fetch(pod.url)
    assert [request.headers["Authorization"] for request in pod.requests] == ["Bearer first", "Bearer second"]


async def test_no_token_is_sent_unasked(servers: FakeServers, clock: SteppedClock) -> None:
    pod = await servers.open()
    async with fetching(PATIENT, clock) as fetcher:
        await fetcher.fetch(pod.url)
    assert "Authorization" not in pod.requests[0].headers


@pytest.mark.parametrize(
    "content, words",
    [
        (None, "No such file"),
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"hush\xff", "is not UTF-8"),
        (b"hush hush", "must hold one word"),
        (b"hush\r\nX-Injected: 1", "must hold one word"),
        ("huşh".encode(), "must hold one word"),
    ],
)
async def test_token_that_cannot_be_sent_is_a_reason_and_stays_secret(
    servers: FakeServers, clock: SteppedClock, tmp_path: Path, content: bytes | None, words: str
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    pod = await servers.open()
    reason = await get_reason(pod.url, clock, replace(PATIENT, bearer_token_file=str(file)))
    assert reason.code is ReasonCode.SCRAPE_FAILED
    assert words in reason.message
    assert str(file) in reason.message
    assert "hush" not in reason.message
    assert pod.requests == []


async def test_folder_is_no_token(servers: FakeServers, clock: SteppedClock, tmp_path: Path) -> None:
    pod = await servers.open()
    reason = await get_reason(pod.url, clock, replace(PATIENT, bearer_token_file=str(tmp_path)))
    assert "IsADirectoryError" in reason.message


# --- TLS --------------------------------------------------------------------------------------------------------------
@pytest.fixture
async def secure_url(data_dir: Path) -> AsyncIterator[str]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(data_dir / "tls" / "server.pem", data_dir / "tls" / "server.key")
    app = web.Application()
    app.router.add_get("/metrics", answer_with(b"x 1\n"))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield f"https://127.0.0.1:{runner.addresses[0][1]}/metrics"
    await runner.cleanup()


async def test_server_is_trusted_by_our_authorities(secure_url: str, clock: SteppedClock, data_dir: Path) -> None:
    async with fetching(replace(PATIENT, ca_file=str(data_dir / "tls" / "server.pem")), clock) as fetcher:
        assert (await fetcher.fetch(secure_url)).body == b"x 1\n"


async def test_unknown_server_is_refused(secure_url: str, clock: SteppedClock, data_dir: Path) -> None:
    for options in (PATIENT, replace(PATIENT, ca_file=str(data_dir / "tls" / "other.pem"))):
        reason = await get_reason(secure_url, clock, options)
        assert reason.code is ReasonCode.SCRAPE_FAILED
        assert "ClientConnectorCertificateError" in reason.message


async def test_any_server_is_trusted_on_demand(secure_url: str, clock: SteppedClock) -> None:
    async with fetching(replace(PATIENT, insecure_tls=True), clock) as fetcher:
        assert (await fetcher.fetch(secure_url)).body == b"x 1\n"


async def test_authorities_are_looked_at_anew(
    secure_url: str, clock: SteppedClock, data_dir: Path, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes((data_dir / "tls" / "other.pem").read_bytes())
    async with fetching(replace(PATIENT, ca_file=str(file)), clock) as fetcher:
        with pytest.raises(PageUnusable, match="Certificate"):
            await fetcher.fetch(secure_url)
        file.write_bytes((data_dir / "tls" / "server.pem").read_bytes() + b"\n")
        assert (await fetcher.fetch(secure_url)).body == b"x 1\n"
        file.unlink()
        with pytest.raises(PageUnusable, match="No such file"):
            await fetcher.fetch(secure_url)


@pytest.mark.parametrize("content", [None, b"", b"not a certificate"])
async def test_authorities_that_cannot_be_used_are_told_at_once(
    clock: SteppedClock, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    bad = replace(PATIENT, ca_file=str(file))
    with pytest.raises(OSError, match=str(file)):
        await PageFetcher(bad, clock).__aenter__()
    async with fetching(PATIENT, clock) as fetcher:
        with pytest.raises(OSError, match=str(file)):
            fetcher.reconfigure(bad)


async def test_plain_pages_do_not_need_authorities(servers: FakeServers, clock: SteppedClock, data_dir: Path) -> None:
    pod = await servers.open()
    async with fetching(replace(PATIENT, ca_file=str(data_dir / "tls" / "other.pem")), clock) as fetcher:
        assert (await fetcher.fetch(pod.url)).body
