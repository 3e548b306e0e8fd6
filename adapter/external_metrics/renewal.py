"""When certificates of our own are renewed, and in which order, so that every caller trusts each of them. No I/O.

An authority changes in three steps, each of which leaves time for everybody to see it:

1. a successor is made and trusted beside the present authority (the bundle holds both),
2. the successor signs a new serving certificate and becomes the authority,
3. the old authority is no longer trusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from adapter.errors import BadDocument
from adapter.external_metrics.issuing import SKEW_S, issue_serving, make_authority
from adapter.external_metrics.key_pair import CertificateFacts, KeyPair, check_key_pair, get_facts, read_chain

DAY_S = 86_400.0
AUTHORITY_LIFE_S = 3 * 365 * DAY_S
SERVING_LIFE_S = 90 * DAY_S
OVERLAP_S = 3600.0
"""How long each step of a change of authority lasts at least [s]: replicas look every half minute."""

_AUTHORITY_LEFT_RATIO = 0.2  # a successor is made when this share of the authority's life is left
_SERVING_LEFT_RATIO = 1 / 3
_LAST_MOMENT_S = 30 * DAY_S  # then the successor takes over even when nobody says that it is trusted
_AUTHORITY_NAME = "variant-autoscaler"


@dataclass(frozen=True, slots=True)
class CertificateBundle:
    """Everything that the replicas share.

    Attributes
    ----------
    trusted_pem
        Authorities that callers should trust: the present one, its successor, the one before.
    authority
        Signs serving certificates.
    successor
        The next authority, None while none is due.
    serving
        What the servers show.
    """

    trusted_pem: bytes
    authority: KeyPair
    successor: KeyPair | None
    serving: KeyPair


def renew(
    bundle: CertificateBundle | None, names: tuple[str, ...], now_s: float, published_pem: bytes | None
) -> CertificateBundle:
    """Return what should be shared at `now_s`: `bundle` itself when nothing is due, a new one for None.

    Parameters
    ----------
    names
        What the serving certificate has to be for.
    published_pem
        Authorities that callers are known to trust; None when nobody can tell.

    Raises
    ------
    BadDocument
        When something in `bundle` cannot be read.
    """
    if bundle is None:
        authority = make_authority(_AUTHORITY_NAME, now_s, AUTHORITY_LIFE_S)
        serving = issue_serving(authority, names, now_s, SERVING_LIFE_S)
        return CertificateBundle(authority.chain_pem, authority, None, serving)
    bundle = _make_successor(bundle, now_s)
    bundle = _promote_successor(bundle, names, now_s, published_pem)
    bundle = _renew_serving(bundle, names, now_s)
    return _drop_retired(bundle, now_s)


def _make_successor(bundle: CertificateBundle, now_s: float) -> CertificateBundle:
    facts = _read_facts(bundle.authority)
    if bundle.successor is not None or not _is_due(facts, now_s, _AUTHORITY_LEFT_RATIO):
        return bundle
    successor = make_authority(_AUTHORITY_NAME, now_s, AUTHORITY_LIFE_S)
    return replace(bundle, successor=successor, trusted_pem=bundle.trusted_pem + successor.chain_pem)


def _promote_successor(
    bundle: CertificateBundle, names: tuple[str, ...], now_s: float, published_pem: bytes | None
) -> CertificateBundle:
    successor = bundle.successor
    if successor is None:
        return bundle
    age_s = now_s - _read_facts(successor).not_before_s - SKEW_S
    is_trusted = published_pem is not None and _holds(published_pem, successor)
    is_last_moment = _read_facts(bundle.authority).not_after_s - now_s < _LAST_MOMENT_S
    if age_s < OVERLAP_S or not (is_trusted or is_last_moment):
        return bundle
    serving = issue_serving(successor, names, now_s, SERVING_LIFE_S)
    return replace(bundle, authority=successor, successor=None, serving=serving)


def _renew_serving(bundle: CertificateBundle, names: tuple[str, ...], now_s: float) -> CertificateBundle:
    facts = _read_facts(bundle.serving)
    if set(names) <= set(facts.names) and not _is_due(facts, now_s, _SERVING_LEFT_RATIO):
        return bundle
    return replace(bundle, serving=issue_serving(bundle.authority, names, now_s, SERVING_LIFE_S))


def _drop_retired(bundle: CertificateBundle, now_s: float) -> CertificateBundle:
    """Stop trusting whoever signs nothing any more, once every replica shows what its successor signed."""
    present = [pair for pair in (bundle.authority, bundle.successor) if pair is not None]
    kept = b"".join(pair.chain_pem for pair in present)
    if len(read_chain(bundle.trusted_pem)) <= len(present):
        return bundle
    if now_s - _read_facts(bundle.serving).not_before_s - SKEW_S < OVERLAP_S:
        return bundle
    return replace(bundle, trusted_pem=kept)


def _is_due(facts: CertificateFacts, now_s: float, left_ratio: float) -> bool:
    return facts.not_after_s - now_s < left_ratio * (facts.not_after_s - facts.not_before_s)


def _read_facts(pair: KeyPair) -> CertificateFacts:
    return get_facts(read_chain(pair.chain_pem)[0])


def _holds(pem: bytes, pair: KeyPair) -> bool:
    try:
        return read_chain(pair.chain_pem)[0] in read_chain(pem)
    except BadDocument:
        return False


# --- As data of a Secret ----------------------------------------------------------------------------------------------
_TRUSTED = "ca.crt"
_AUTHORITY_KEY = "ca.key"
_SUCCESSOR_KEY = "next-ca.key"
_SERVING_CHAIN, _SERVING_KEY = "tls.crt", "tls.key"  # the names that everybody expects


def to_data(bundle: CertificateBundle) -> dict[str, bytes]:
    """Return `bundle` as the data of a Secret: whose key is whose is told by the keys themselves."""
    data = {
        _TRUSTED: bundle.trusted_pem,
        _AUTHORITY_KEY: bundle.authority.key_pem,
        _SERVING_CHAIN: bundle.serving.chain_pem,
        _SERVING_KEY: bundle.serving.key_pem,
    }
    return data if bundle.successor is None else {**data, _SUCCESSOR_KEY: bundle.successor.key_pem}


def from_data(data: Mapping[str, bytes]) -> CertificateBundle:
    """Return the bundle that the data of a Secret hold.

    Raises
    ------
    BadDocument
        When an entry is missing or does not fit the others.
    """
    missing = [key for key in (_TRUSTED, _AUTHORITY_KEY, _SERVING_CHAIN, _SERVING_KEY) if not data.get(key)]
    if missing:
        raise BadDocument(f"it lacks {', '.join(missing)}")
    trusted = read_chain(data[_TRUSTED])
    successor_key = data.get(_SUCCESSOR_KEY)
    return CertificateBundle(
        trusted_pem=data[_TRUSTED],
        authority=_find_authority(trusted, data[_AUTHORITY_KEY], _AUTHORITY_KEY),
        successor=_find_authority(trusted, successor_key, _SUCCESSOR_KEY) if successor_key else None,
        serving=KeyPair(data[_SERVING_CHAIN], data[_SERVING_KEY]),
    )


def _find_authority(trusted: tuple[x509.Certificate, ...], key_pem: bytes, name: str) -> KeyPair:
    for certificate in trusted:
        pair = KeyPair(certificate.public_bytes(Encoding.PEM), key_pem)
        try:
            check_key_pair(pair, certificate.not_valid_before_utc.timestamp())
        except BadDocument:
            continue
        return pair
    raise BadDocument(f"{_TRUSTED} holds no certificate for {name}")
