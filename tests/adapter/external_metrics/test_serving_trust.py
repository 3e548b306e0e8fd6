"""What a caller makes of a serving certificate, held against a real TLS handshake where that can say."""

from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path

import pytest

from adapter.errors import BadDocument
from adapter.external_metrics.key_pair import KeyPair
from adapter.external_metrics.serving_trust import judge_serving
from tests.builders.authorities import LIFE_S, SERVER, Authority, make_client_context
from tests.builders.raw_server import open_raw_server

NAME = "variant-autoscaler.autoscaler.svc"


def issue(authority: Authority, name: str = NAME) -> KeyPair:
    return authority.issue("server", usages=(SERVER,), names=(name,))


async def shake_hands(pair: KeyPair, trusted_pem: str, folder: Path) -> bool:
    """Return whether a TLS client that trusts `trusted_pem` believes a server that shows `pair`."""
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(pair.chain_pem)
    key.write_bytes(pair.key_pem)
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(chain, key)

    async def answer(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    trusted = make_client_context(trusted_pem)
    async with open_raw_server(answer, tls=server_context) as port:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusted, server_hostname=NAME)
        except ssl.SSLCertVerificationError:
            return False
        writer.close()
        await writer.wait_closed()
        return True


@pytest.mark.parametrize("case", ["good", "other authority", "other name", "both authorities", "star"])
async def test_it_says_what_a_handshake_says(case: str, tmp_path: Path) -> None:
    ours, theirs = Authority("ours"), Authority("theirs")
    pair = issue(ours, {"other name": "elsewhere.svc", "star": "*.autoscaler.svc"}.get(case, NAME))
    trusted = {"other authority": theirs.pem, "both authorities": theirs.pem + ours.pem}.get(case, ours.pem)
    trust = judge_serving(pair.chain_pem, trusted.encode(), NAME, time.time())
    is_believed = trust.name is trust.authority is trust.date is None
    assert is_believed is await shake_hands(pair, trusted, tmp_path)
    assert is_believed is (case in ("good", "both authorities", "star"))


def test_a_chain_leads_to_the_authority_above_the_one_that_signed() -> None:
    root = Authority("root")
    between = Authority("between", issuer=root)
    pair = issue(between)
    chain = pair.chain_pem + between.pem.encode()
    assert judge_serving(chain, root.pem.encode(), NAME, time.time()).authority is None
    assert "CN=between signed it" in str(judge_serving(pair.chain_pem, root.pem.encode(), NAME, time.time()).authority)


def test_a_chain_of_strangers_leads_nowhere() -> None:
    root, other = Authority("root"), Authority("other")
    chain = issue(other).chain_pem + Authority("between", issuer=root).pem.encode()
    assert judge_serving(chain, root.pem.encode(), NAME, time.time()).authority is not None


@pytest.mark.parametrize("ahead_s, part", [(-LIFE_S - 1.0, "not valid before"), (LIFE_S, "expired on")])
def test_outside_its_time_it_is_refused_and_so_is_its_authority(ahead_s: float, part: str) -> None:
    authority = Authority("ours")
    trust = judge_serving(issue(authority).chain_pem, authority.pem.encode(), NAME, authority.now_s + ahead_s)
    assert part in str(trust.date)
    assert "the authority that signed it cannot be used" in str(trust.authority)


def test_it_tells_when_the_certificate_expires() -> None:
    authority = Authority("ours", now_s=1_000_000.0)
    trust = judge_serving(issue(authority).chain_pem, authority.pem.encode(), NAME, 1_000_000.0)
    assert trust.not_after_s == 1_000_000.0 + LIFE_S


def test_nobody_trusted_is_a_reason_too() -> None:
    assert (
        judge_serving(issue(Authority("ours")).chain_pem, b"", NAME, time.time()).authority == "no authority is trusted"
    )


def test_what_is_no_certificate_is_refused() -> None:
    with pytest.raises(BadDocument):
        judge_serving(b"nonsense", b"", NAME, 0.0)
