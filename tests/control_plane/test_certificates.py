"""Certificates that real TLS accepts, and refuses, as they say."""

from __future__ import annotations

import asyncio
import ssl
from datetime import timedelta
from pathlib import Path

import pytest

from tests.builders.raw_server import open_raw_server
from tests.control_plane.certificates import Authority, Pair, make_certificates


async def shake_hands(server: Pair, client: Pair | None, trust: Path, client_trust: Path, name: str) -> object:
    """Return the subject of the certificate that the client showed to the server; raise what either side says."""
    offered = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    offered.load_cert_chain(server.cert_file, server.key_file)
    offered.load_verify_locations(client_trust)
    offered.verify_mode = ssl.CERT_REQUIRED
    shown: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        shown.set_result(writer.get_extra_info("peercert")["subject"])

    asked = ssl.create_default_context(cafile=str(trust))
    if client is not None:
        asked.load_cert_chain(client.cert_file, client.key_file)
    async with open_raw_server(answer, tls=offered) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=asked, server_hostname=name)
        try:
            await reader.read()
            return await asyncio.wait_for(shown, 60.0)
        finally:
            writer.close()


async def test_server_and_user_know_each_other_by_their_authority(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    ca = made.authority.cert_file
    user = made.authority.sign_client("jane", ("developers", "owners"))
    for name in ("127.0.0.1", "localhost", "kubernetes.default.svc"):
        subject = await shake_hands(made.api_server, user, ca, ca, name)
        assert subject == (
            (("organizationName", "developers"),), (("organizationName", "owners"),), (("commonName", "jane"),),
        )  # fmt: skip


async def test_another_name_another_authority_and_yesterday_are_refused(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    ca, other = made.authority.cert_file, Authority(tmp_path, "other")
    user = made.authority.sign_client("jane")
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        await shake_hands(made.api_server, user, ca, ca, "elsewhere.svc")
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        await shake_hands(other.sign_server(["localhost"]), user, ca, ca, "localhost")
    expired = made.authority.sign_server(["localhost"], life=-timedelta(minutes=1))
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        await shake_hands(expired, user, ca, ca, "localhost")


def test_the_front_proxy_is_not_signed_by_the_authority_of_users(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    assert made.front_proxy_authority.to_pem() != made.authority.to_pem()
    assert made.front_proxy_authority.cert_file.read_bytes() == made.front_proxy_authority.to_pem()
