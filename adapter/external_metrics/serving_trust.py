"""Whether somebody who trusts given authorities would believe a serving certificate, and why not. Pure; no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from adapter.errors import BadDocument
from adapter.external_metrics.key_pair import get_facts, read_chain


@dataclass(frozen=True, slots=True)
class ServingTrust:
    """What a caller makes of a serving certificate.

    Attributes
    ----------
    name, date, authority
        Why it is refused for this, None where it is not.
    not_after_s
        When it expires [Unix s].
    """

    name: str | None
    date: str | None
    authority: str | None
    not_after_s: float


def judge_serving(chain_pem: bytes, trusted_pem: bytes, name: str, now_s: float) -> ServingTrust:
    """Return what a caller that trusts `trusted_pem` makes at `now_s` [Unix s] of the chain of the server `name`.

    The authority may be any of the trusted ones, directly or by way of the chain.

    Raises
    ------
    BadDocument
        When the chain cannot be read.
    """
    chain = read_chain(chain_pem)
    facts = get_facts(chain[0])
    is_named = any(_covers(pattern, name) for pattern in facts.names)
    return ServingTrust(
        name=None if is_named else f"it is for {', '.join(facts.names) or 'nobody'}, not for {name}",
        date=_find_date_problem(chain[0], now_s),
        authority=_find_authority_problem(chain, trusted_pem, now_s),
        not_after_s=facts.not_after_s,
    )


def _covers(pattern: str, name: str) -> bool:
    """Return whether a name in a certificate is `name`; a star stands for its first part."""
    first, _, rest = name.lower().partition(".")
    return bool(first) and pattern.lower() in (name.lower(), f"*.{rest}")


def _find_date_problem(certificate: x509.Certificate, now_s: float) -> str | None:
    now = datetime.fromtimestamp(now_s, UTC)
    if now >= certificate.not_valid_after_utc:
        return f"it expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    if now < certificate.not_valid_before_utc:
        return f"it is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
    return None


def _find_authority_problem(chain: tuple[x509.Certificate, ...], trusted_pem: bytes, now_s: float) -> str | None:
    try:
        trusted = read_chain(trusted_pem)
    except BadDocument:
        return "no authority is trusted"
    signers = _list_signers(chain, trusted)
    if not signers:
        return f"{chain[-1].issuer.rfc4514_string() or 'its authority'} signed it, which is not trusted"
    problems = [_find_date_problem(signer, now_s) for signer in signers]
    return None if None in problems else f"the authority that signed it cannot be used: {problems[0]}"


def _list_signers(chain: tuple[x509.Certificate, ...], trusted: Iterable[x509.Certificate]) -> list[x509.Certificate]:
    """Return the trusted authorities that signed a certificate of `chain` which its holder's own leads to."""
    linked = [chain[0]]
    for certificate, issuer in pairwise(chain):
        if not _is_issued_by(certificate, issuer):
            break
        linked.append(issuer)
    return [authority for authority in trusted if any(_is_issued_by(entry, authority) for entry in linked)]


def _is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
