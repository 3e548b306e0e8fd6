"""Making certificates: an authority of our own, and what it signs for our server. The system gives the randomness."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from adapter.errors import BadDocument
from adapter.external_metrics.key_pair import KeyPair, read_chain

SKEW_S = 300.0
"""Certificates are valid from this much before they are made [s], for clocks that are behind."""


def make_serving_names(service: str, namespace: str, cluster_domain: str = "cluster.local") -> tuple[str, ...]:
    """Return the names under which our server is called: first the one by which an API server verifies it."""
    inside = f"{service}.{namespace}.svc"
    return (inside, f"{service}.{namespace}", f"{inside}.{cluster_domain}", "localhost", "127.0.0.1", "::1")


def make_authority(name: str, now_s: float, life_s: float) -> KeyPair:
    """Return a new authority called `name`, valid for `life_s` [s]."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        _begin(subject, subject, key.public_key(), now_s, life_s)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_make_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _finish(builder, key, key)


def issue_serving(authority: KeyPair, names: tuple[str, ...], now_s: float, life_s: float) -> KeyPair:
    """Return a certificate for a server called `names`, valid for `life_s` [s] but no longer than its authority.

    Raises
    ------
    BadDocument
        When `authority` cannot sign.
    """
    issuer = read_chain(authority.chain_pem)[0]
    try:
        issuer_key = load_pem_private_key(authority.key_pem, password=None)
    except (ValueError, TypeError) as cause:
        raise BadDocument(f"the key of the authority cannot be used: {cause}") from cause
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise BadDocument("the key of the authority is none of ours")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    life_s = min(life_s, issuer.not_valid_after_utc.timestamp() - now_s)
    builder = (
        _begin(subject, issuer.subject, key.public_key(), now_s, life_s)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_make_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_to_general_name(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    return _finish(builder, key, issuer_key)


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now_s: float, life_s: float
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(int(now_s - SKEW_S), UTC))
        .not_valid_after(datetime.fromtimestamp(int(now_s + life_s), UTC))
    )


def _finish(
    builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey
) -> KeyPair:
    certificate = builder.sign(signer, SHA256())
    return KeyPair(
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def _make_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _to_general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
