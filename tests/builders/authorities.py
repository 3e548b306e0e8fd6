"""Certificate authorities for tests: they sign whatever they are told, sound or not, into memory."""

from __future__ import annotations

import ssl
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from adapter.external_metrics.key_pair import KeyPair

CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
LIFE_S = 3600.0


class Authority:
    """Signs certificates that are valid for an hour around `now_s`, unless told otherwise.

    Parameters
    ----------
    issuer
        Signs this authority's own certificate; itself for None.
    is_authority
        What its BasicConstraints say; None leaves them out.
    """

    def __init__(
        self,
        name: str,
        *,
        now_s: float | None = None,
        issuer: Authority | None = None,
        is_authority: bool | None = True,
    ) -> None:
        self.now_s = time.time() if now_s is None else now_s
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signer, signer_name = (self._key, self._subject) if issuer is None else (issuer._key, issuer._subject)
        builder = _begin(self._subject, signer_name, self._key.public_key(), self.now_s - LIFE_S, self.now_s + LIFE_S)
        if is_authority is not None:
            builder = builder.add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        self.certificate = builder.sign(signer, SHA256())

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def issue(
        self,
        common_name: str = "",
        organizations: Sequence[str] = (),
        *,
        usages: Sequence[x509.ObjectIdentifier] = (CLIENT,),
        names: Sequence[str] = (),
        begins_s: float = -LIFE_S,
        ends_s: float = LIFE_S,
        is_rsa: bool = False,
    ) -> KeyPair:
        """Return a certificate; `begins_s` and `ends_s` are told from now on [s]."""
        key = rsa.generate_private_key(65537, 2048) if is_rsa else ec.generate_private_key(ec.SECP256R1())
        attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in organizations]
        if common_name:
            attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
        builder = _begin(
            x509.Name(attributes), self._subject, key.public_key(), self.now_s + begins_s, self.now_s + ends_s
        )
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if names:
            san = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            builder = builder.add_extension(san, critical=False)
        certificate = builder.sign(self._key, SHA256())
        return KeyPair(
            certificate.public_bytes(Encoding.PEM),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        )

    def issue_server(self, name: str = "localhost", *, is_rsa: bool = False, ends_s: float = LIFE_S) -> KeyPair:
        """Return what a server called `name` shows."""
        return self.issue(name, usages=(SERVER,), names=(name, "localhost"), is_rsa=is_rsa, ends_s=ends_s)


def to_der(pair: KeyPair) -> bytes:
    return x509.load_pem_x509_certificate(pair.chain_pem).public_bytes(Encoding.DER)


def make_client_context(authorities_pem: str, pair: KeyPair | None = None) -> ssl.SSLContext:
    """Return what a client uses that trusts `authorities_pem` and shows `pair`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authorities_pem)
    if pair is not None:
        with tempfile.TemporaryDirectory() as folder:
            chain, key = Path(folder, "chain.pem"), Path(folder, "key.pem")
            chain.write_bytes(pair.chain_pem)
            key.write_bytes(pair.key_pem)
            context.load_cert_chain(chain, key)
    return context


def _begin(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    begins_s: float,
    ends_s: float,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(int(begins_s), UTC))
        .not_valid_after(datetime.fromtimestamp(int(ends_s), UTC))
    )
