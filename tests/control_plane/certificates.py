"""Keys and certificates of a control plane that lives for a test run: made fast, valid for a day, written to files."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as PEM files."""

    cert_file: Path
    key_file: Path


class Authority:
    """A certificate authority; its certificate is `cert_file`.

    Parameters
    ----------
    folder
        Where its files and those it signs are written.
    name
        Common name, and beginning of its file names.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        subject = _to_name(name)
        usage = x509.KeyUsage(
            digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        self._certificate = (
            _begin(subject, subject, self._key.public_key(), LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.cert_file = folder / f"{name}.crt"
        self.cert_file.write_bytes(self.to_pem())

    def to_pem(self) -> bytes:
        """Return its certificate."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def sign_client(
        self, user: str, groups: Sequence[str] = (), *, file_name: str = "", life: timedelta = LIFE
    ) -> Pair:
        """Return what `user` of `groups` shows to a server."""
        usage = ExtendedKeyUsageOID.CLIENT_AUTH
        return self._sign(_to_name(user, groups), usage, names=(), file_name=file_name or user, life=life)

    def sign_server(self, names: Sequence[str], *, file_name: str = "", life: timedelta = LIFE) -> Pair:
        """Return what a server that is called `names` (host names and IP addresses) shows; `life` may be negative."""
        usage = ExtendedKeyUsageOID.SERVER_AUTH
        return self._sign(_to_name(names[0]), usage, names=names, file_name=file_name or names[0], life=life)

    def _sign(
        self,
        subject: x509.Name,
        usage: x509.ObjectIdentifier,
        *,
        names: Sequence[str],
        file_name: str,
        life: timedelta,
    ) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            _begin(subject, self._certificate.subject, key.public_key(), life)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(authority_key, critical=False)
        )
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_to_general_name(name) for name in names]), critical=False
            )
        certificate = builder.sign(self._key, hashes.SHA256())
        stem = file_name.replace("/", "_").replace(":", "_")
        pair = Pair(self._folder / f"{stem}.crt", self._folder / f"{stem}.key")
        pair.cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pair.key_file.write_bytes(_to_pem(key))
        return pair


@dataclass(frozen=True, slots=True)
class Certificates:
    """All that a control plane needs.

    Attributes
    ----------
    folder
        Where the files are.
    authority
        Signs servers and users of the cluster.
    front_proxy_authority
        Signs `front_proxy`, and nothing else.
    front_proxy
        What the API server shows to an aggregated one.
    api_server
        What the API server shows to users.
    service_accounts
        Key of the tokens, private and public.
    """

    folder: Path
    authority: Authority
    front_proxy_authority: Authority
    front_proxy: Pair
    api_server: Pair
    service_accounts: Pair


def make_certificates(folder: Path) -> Certificates:
    """Return new keys and certificates, written into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = Authority(folder, "ca")
    front_proxy_authority = Authority(folder, "front-proxy-ca")
    names = ("kubernetes.default.svc", "kubernetes.default", "kubernetes", "localhost", "127.0.0.1", "10.0.0.1")
    return Certificates(
        folder=folder,
        authority=authority,
        front_proxy_authority=front_proxy_authority,
        front_proxy=front_proxy_authority.sign_client("front-proxy-client"),
        api_server=authority.sign_server(names, file_name="kube-apiserver"),
        service_accounts=_make_service_account_key(folder),
    )


def _make_service_account_key(folder: Path) -> Pair:
    key = rsa.generate_private_key(65537, 2048)
    pair = Pair(folder / "service-accounts.pub", folder / "service-accounts.key")
    pair.key_file.write_bytes(_to_pem(key))
    pair.cert_file.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )  # fmt: skip
    return pair


def _begin(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, life: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1) + min(life, timedelta()))
        .not_valid_after(now + life)
    )


def _to_name(user: str, groups: Sequence[str] = ()) -> x509.Name:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def _to_general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _to_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )  # fmt: skip
