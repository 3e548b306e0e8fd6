"""Whether somebody who trusts given authorities would believe a serving certificate, and why not. Pure; no I/O."""

from __future__ import annotations

from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from adapter.errors import BadDocument
from adapter.external_metrics.key_pair import get_facts, read_chain


def find_distrust(chain_pem: bytes, trusted_pem: bytes, name: str, now_s: float) -> str | None:
    """Return why a caller that trusts `trusted_pem` refuses the chain of the server `name` at `now_s` [Unix s].

    None means that it believes it. The authority may be any of the trusted ones, directly or by way of the chain.
    """
    try:
        chain = read_chain(chain_pem)
    except BadDocument as problem:
        return str(problem)
    try:
        trusted = read_chain(trusted_pem)
    except BadDocument:
        return "no authority is trusted"
    facts = get_facts(chain[0])
    if name not in facts.names:
        return f"it is for {', '.join(facts.names) or 'nobody'}, not for {name}"
    if now_s >= facts.not_after_s:
        return f"it expired on {chain[0].not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    if now_s < facts.not_before_s:
        return f"it is not valid before {chain[0].not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
    for certificate, issuer in pairwise(chain):
        if any(_is_issued_by(certificate, authority) for authority in trusted):
            return None
        if not _is_issued_by(certificate, issuer):
            break
    if any(_is_issued_by(chain[-1], authority) for authority in trusted):
        return None
    return f"{chain[-1].issuer.rfc4514_string() or 'its authority'} signed it, which is not trusted"


def _is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
