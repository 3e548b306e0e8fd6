"""A certificate with its key, and whether the two can serve. It reads no files and opens no sockets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from adapter.errors import BadDocument


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A chain of certificates, the holder's own first, and the holder's key; both PEM."""

    chain_pem: bytes
    key_pem: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What a serving certificate says.

    Attributes
    ----------
    names
        DNS names and addresses it is for.
    not_before_s, not_after_s
        When it is valid [Unix s].
    fingerprint
        SHA-256, in hexadecimal digits.
    """

    names: tuple[str, ...]
    not_before_s: float
    not_after_s: float
    fingerprint: str


def check_key_pair(pair: KeyPair, now_s: float) -> CertificateFacts:
    """Return what the certificate says, after making sure that it can serve at `now_s`.

    Raises
    ------
    BadDocument
        When certificate or key cannot be read, do not belong together, or are out of date.
    """
    leaf = read_chain(pair.chain_pem)[0]
    try:
        key = load_pem_private_key(pair.key_pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as cause:
        raise BadDocument(f"the key cannot be used: {_get_first_line(cause)}") from cause
    if key.public_key() != leaf.public_key():
        raise BadDocument("key and certificate do not belong together")
    facts = get_facts(leaf)
    if now_s >= facts.not_after_s:
        raise BadDocument(f"the certificate expired on {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
    if now_s < facts.not_before_s:
        raise BadDocument(f"the certificate is not valid before {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")
    return facts


def read_chain(chain_pem: bytes) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a PEM text, at least one.

    Raises
    ------
    BadDocument
        When there is none, or one cannot be read.
    """
    try:
        return tuple(x509.load_pem_x509_certificates(chain_pem))
    except ValueError as cause:
        raise BadDocument(f"the certificate cannot be read: {_get_first_line(cause)}") from cause


def get_facts(leaf: x509.Certificate) -> CertificateFacts:
    """Return what `leaf` says.

    Raises
    ------
    BadDocument
        When an extension of it cannot be read.
    """
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names: Sequence[str] = ()
    except ValueError as cause:
        raise BadDocument(f"the certificate cannot be read: {_get_first_line(cause)}") from cause
    else:
        addresses = [str(address) for address in extension.get_values_for_type(x509.IPAddress)]
        names = [*extension.get_values_for_type(x509.DNSName), *addresses]
    return CertificateFacts(
        names=tuple(names),
        not_before_s=leaf.not_valid_before_utc.timestamp(),
        not_after_s=leaf.not_valid_after_utc.timestamp(),
        fingerprint=leaf.fingerprint(SHA256()).hex(),
    )


def _get_first_line(cause: Exception) -> str:
    return (str(cause).splitlines() or [type(cause).__name__])[0][:200]
