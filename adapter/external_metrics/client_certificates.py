"""Which certificates of clients an authority vouches for, judged here and not by the TLS layer. No I/O.

The TLS layer of a server holds one set of authorities for all purposes, so a certificate that passed the handshake may
come from the wrong one: only what is verified against the right authority itself may be believed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store, VerificationError

from adapter.errors import BadDocument

_REFUSAL_HOLDS_S = 60.0
_MAX_REMEMBERED = 1024
_CLIENT_USAGES = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What a verified certificate says of its holder.

    Attributes
    ----------
    common_name
        "" when it has none.
    organizations
        In the order written.
    expires_s
        When the first certificate of its chain expires [Unix s].
    """

    common_name: str
    organizations: tuple[str, ...]
    expires_s: float


class CertificateVerifier:
    """Verifies client certificates against some authorities; verdicts are remembered by fingerprint until expiry.

    Parameters
    ----------
    authorities
        Any of them may end a chain; none means that nobody is believed.
    """

    def __init__(self, authorities: Sequence[x509.Certificate] = ()) -> None:
        self._store = Store(list(authorities)) if authorities else None
        self._verdicts: dict[bytes, tuple[ClientCertificate | None, float]] = {}

    def verify(self, certificate_der: bytes, now_s: float) -> ClientCertificate | None:
        """Return what the certificate says, None when the authorities do not vouch for it as a client at `now_s`."""
        if self._store is None:
            return None
        fingerprint = hashlib.sha256(certificate_der).digest()
        verdict, until_s = self._verdicts.get(fingerprint, (None, 0.0))
        if now_s < until_s:
            return verdict
        verdict = _verify(self._store, certificate_der, now_s)
        until_s = now_s + _REFUSAL_HOLDS_S if verdict is None else verdict.expires_s
        if len(self._verdicts) >= _MAX_REMEMBERED:
            self._verdicts.pop(next(iter(self._verdicts)))
        self._verdicts[fingerprint] = (verdict, until_s)
        return verdict


def parse_authorities(text: str) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a PEM bundle; "" holds none.

    Raises
    ------
    BadDocument
        When it cannot be read.
    """
    if not text.strip():
        return ()
    try:
        return tuple(x509.load_pem_x509_certificates(text.encode()))
    except ValueError as cause:
        raise BadDocument(f"no bundle of PEM certificates: {cause}") from cause


def _verify(store: Store, certificate_der: bytes, now_s: float) -> ClientCertificate | None:
    """Verify a chain as clients' certificates really look: often without SAN, authorities without KeyUsage.

    Only what tells authorities and purposes apart is required: BasicConstraints above, ExtendedKeyUsage below.
    """
    authority_policy = ExtensionPolicy.permit_all().require_present(
        x509.BasicConstraints, Criticality.AGNOSTIC, _check_is_authority
    )
    leaf_policy = ExtensionPolicy.permit_all().require_present(
        x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _check_is_client
    )
    verifier = (
        PolicyBuilder()
        .store(store)
        .time(datetime.fromtimestamp(now_s, UTC).replace(microsecond=0))
        .extension_policies(ca_policy=authority_policy, ee_policy=leaf_policy)
        .build_client_verifier()
    )
    try:
        leaf = x509.load_der_x509_certificate(certificate_der)
        chain = verifier.verify(leaf, []).chain
    except (VerificationError, ValueError):
        return None
    names = [str(attribute.value) for attribute in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return ClientCertificate(
        common_name=names[0] if names else "",
        organizations=tuple(
            str(attribute.value) for attribute in leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        ),
        expires_s=min(certificate.not_valid_after_utc.timestamp() for certificate in chain),
    )


def _check_is_authority(_policy: Policy, _certificate: x509.Certificate, constraints: x509.BasicConstraints) -> None:
    if not constraints.ca:
        raise ValueError("it is no authority")


def _check_is_client(_policy: Policy, _certificate: x509.Certificate, usage: x509.ExtendedKeyUsage) -> None:
    if not any(purpose in usage for purpose in _CLIENT_USAGES):
        raise ValueError("it is not for clients")
