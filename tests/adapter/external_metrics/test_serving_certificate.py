"""Certificates change under load without a failed request; what is no good changes nothing."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509

from adapter.errors import AdapterError, BadDocument, Unreachable
from adapter.external_metrics import ServingCertificate, ServingMaterial
from adapter.external_metrics.key_pair import KeyPair
from tests.builders.authorities import Authority, make_client_context, to_der
from tests.builders.captured_log import capture_log
from tests.builders.decisions import ManualClock
from tests.builders.stepped_clock import SteppedClock

NAME = "autoscaler.system.svc"
TLS_VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


class Source:
    """Gives what the test puts in, or fails as it is told."""

    poll_s = 10.0

    def __init__(self, pair: KeyPair | None = None) -> None:
        self.pair = pair
        self.failure: AdapterError | None = None
        self.asked = 0

    async def load(self) -> ServingMaterial:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        assert self.pair is not None
        return ServingMaterial(self.pair)


@asynccontextmanager
async def serve(certificate: ServingCertificate) -> AsyncIterator[int]:
    """Yield the port of a server that tells the name in the client's certificate."""

    async def answer(request: web.Request) -> web.Response:
        shown = request.get_extra_info("ssl_object").getpeercert(binary_form=True)
        name = "nobody" if shown is None else x509.load_der_x509_certificate(shown).subject.rfc4514_string()
        return web.Response(text=name)

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificate.ssl_context).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def read_leaf(port: int, context: ssl.SSLContext, name: str | None = NAME) -> bytes:
    """Return the certificate [DER] that a new connection is shown."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return shown


async def ask(port: int, authority: Authority, shows: KeyPair | None = None) -> str:
    async with (
        aiohttp.ClientSession() as session,
        session.get(
            f"https://127.0.0.1:{port}/", ssl=make_client_context(authority.pem, shows), server_hostname=NAME
        ) as response,
    ):
        return await response.text()


def make(source: Source) -> ServingCertificate:
    return ServingCertificate(source, ManualClock(time.time()), NAME)


async def test_every_new_connection_is_shown_the_newest_certificate_of_whatever_kind() -> None:
    authority = Authority("ca")
    pairs = [authority.issue_server(NAME, is_rsa=is_rsa) for is_rsa in (True, False, True, False)]
    source = Source()
    certificate = make(source)
    async with serve(certificate) as port:
        for pair in pairs:
            source.pair = pair
            await certificate.refresh()
            for version in TLS_VERSIONS:
                context = make_client_context(authority.pem)
                context.maximum_version = version
                assert await read_leaf(port, context) == to_der(pair)
                context.check_hostname = False
                assert await read_leaf(port, context, "") == to_der(pair)  # no server name is sent


async def test_no_request_fails_while_certificates_and_authorities_change() -> None:
    """Some clients keep their connection, some make a new one each time, while everything is swapped."""
    old, new = Authority("ca-1"), Authority("ca-2")
    clients = Authority("clients")
    source = Source(old.issue_server(NAME))
    certificate = make(source)
    await certificate.refresh()
    certificate.trust_clients(clients.pem)
    context = make_client_context(old.pem + new.pem, clients.issue("bob"))
    answers, shown, stop = list[str](), set[bytes](), asyncio.Event()

    async with serve(certificate) as port:

        async def drive(*, lasting: bool) -> None:
            connector = aiohttp.TCPConnector(ssl=context, force_close=not lasting)
            async with aiohttp.ClientSession(connector=connector) as session:
                while not stop.is_set():
                    async with session.get(f"https://127.0.0.1:{port}/", server_hostname=NAME) as response:
                        answers.append(await response.text())

        load = [asyncio.create_task(drive(lasting=number % 2 == 0)) for number in range(8)]
        for number in range(12):
            before = len(answers)
            source.pair = (old, new)[number % 2].issue_server(NAME, is_rsa=number % 3 == 0)
            await certificate.refresh()
            certificate.trust_clients(clients.pem + (old, new)[number % 2].pem)
            while len(answers) < before + 20:
                await asyncio.sleep(0)
                for task in load:
                    assert not task.done(), task.exception()
            shown.add(await read_leaf(port, context))
        stop.set()
        await asyncio.gather(*load)
    assert set(answers) == {"CN=bob"}
    assert len(shown) == 12


async def test_what_is_no_good_is_refused_and_the_last_good_one_stays() -> None:
    authority = Authority("ca")
    good, other = authority.issue_server(NAME), authority.issue_server(NAME)
    source = Source(good)
    certificate = make(source)
    await certificate.refresh()
    context = make_client_context(authority.pem)
    async with serve(certificate) as port:
        with capture_log() as log:
            for bad, words in (
                (KeyPair(good.chain_pem, other.key_pem), "do not belong together"),
                (authority.issue_server(NAME, ends_s=-1.0), "expired"),
                (KeyPair(b"", b""), "cannot be read"),
            ):
                source.pair = bad
                await certificate.refresh()
                await certificate.refresh()
                assert words in str(certificate.problem)
                assert certificate.explain_unready() is None
                assert await read_leaf(port, context) == to_der(good)
            source.failure = Unreachable("the API is away")
            await certificate.refresh()
            assert "the API is away" in str(certificate.problem)
            assert len(log.read("certificate_refused")) == 4  # each once
        source.pair, source.failure = other, None
        await certificate.refresh()
        assert certificate.problem is None
        assert await read_leaf(port, context) == to_der(other)


async def test_probes_are_answered_before_there_is_a_certificate_and_readiness_says_so() -> None:
    source = Source()
    source.failure = BadDocument("cannot be read: tls.crt")
    certificate = make(source)
    assert certificate.explain_unready() == "no serving certificate: not read yet"
    await certificate.refresh()
    assert certificate.explain_unready() == "no serving certificate: cannot be read: tls.crt"
    async with serve(certificate) as port, aiohttp.ClientSession() as session:
        async with session.get(f"https://127.0.0.1:{port}/", ssl=False) as response:
            assert response.status == 200
        with pytest.raises(aiohttp.ClientError):
            await ask(port, Authority("ca"))


async def test_an_expired_certificate_is_not_ready() -> None:
    authority = Authority("ca")
    clock = ManualClock(authority.now_s)
    certificate = ServingCertificate(Source(authority.issue_server(NAME, ends_s=100.0)), clock, NAME)
    await certificate.refresh()
    assert certificate.explain_unready() is None
    clock.time_s += 101.0
    await certificate.refresh()
    assert certificate.explain_unready() == "the serving certificate expired: no newer one"


async def test_a_certificate_for_another_name_is_complained_about() -> None:
    with capture_log() as log:
        await make(Source(Authority("ca").issue_server("other.svc"))).refresh()
    (line,) = log.read("certificate_lacks_name")
    assert (line["name"], line["names"]) == (NAME, ["other.svc", "localhost"])


async def test_authorities_of_clients_are_swapped_whole() -> None:
    authority, first, second = Authority("ca"), Authority("clients-1"), Authority("clients-2")
    certificate = make(Source(authority.issue_server(NAME)))
    await certificate.refresh()
    async with serve(certificate) as port:
        assert await ask(port, authority, first.issue("a")) == "nobody"  # none is asked for
        certificate.trust_clients(first.pem)
        assert await ask(port, authority, first.issue("a")) == "CN=a"
        certificate.trust_clients(second.pem)
        assert await ask(port, authority, second.issue("b")) == "CN=b"
        with pytest.raises((aiohttp.ClientError, ConnectionError, ssl.SSLError)):
            await ask(port, authority, first.issue("a"))
        with pytest.raises(BadDocument):
            certificate.trust_clients("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")
        assert await ask(port, authority, second.issue("b")) == "CN=b"
        assert await ask(port, authority) == "nobody"


async def test_the_source_is_asked_again_and_again_and_soon_after_a_bad_start() -> None:
    authority = Authority("ca")
    clock, source = SteppedClock(authority.now_s), Source()
    source.failure = Unreachable("away")
    certificate = ServingCertificate(source, clock, NAME)
    running = asyncio.create_task(certificate.run())
    await asyncio.sleep(0)
    await clock.run_to(authority.now_s + 3.0)
    assert source.asked == 4
    source.pair, source.failure = authority.issue_server(NAME), None
    await clock.run_to(authority.now_s + 25.0)
    assert source.asked == 7
    assert certificate.facts is not None
    assert certificate.facts.fingerprint == hashlib.sha256(to_der(source.pair)).hexdigest()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
