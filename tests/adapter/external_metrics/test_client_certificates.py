"""Whose certificate is believed: only with a chain to the very authority, for clients, in time."""

from __future__ import annotations

import pytest

from adapter.errors import BadDocument
from adapter.external_metrics.client_certificates import CertificateVerifier, parse_authorities
from tests.builders.authorities import CLIENT, LIFE_S, SERVER, Authority, to_der

NOW_S = 1_795_000_000.0


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("front-proxy-ca", now_s=NOW_S)


def verifier_of(*authorities: Authority) -> CertificateVerifier:
    return CertificateVerifier([authority.certificate for authority in authorities])


@pytest.mark.parametrize("is_rsa", [False, True])
def test_believes_the_usual_certificate_without_names(authority: Authority, is_rsa: bool) -> None:
    usual = authority.issue("front-proxy-client", ["a, b", "c"], is_rsa=is_rsa)
    found = verifier_of(Authority("other", now_s=NOW_S), authority).verify(to_der(usual), NOW_S)
    assert found is not None
    assert (found.common_name, found.organizations, found.expires_s) == (
        "front-proxy-client",
        ("a, b", "c"),
        NOW_S + LIFE_S,
    )


def test_believes_nobody_else(authority: Authority) -> None:
    namesake = Authority("front-proxy-ca", now_s=NOW_S)
    verifier = verifier_of(authority)
    for pair in (
        namesake.issue("front-proxy-client"),
        authority.issue("front-proxy-client", usages=(SERVER,)),
        authority.issue("front-proxy-client", usages=()),
        authority.issue("front-proxy-client", ends_s=-1.0),
        authority.issue("front-proxy-client", begins_s=1.0),
    ):
        assert verifier.verify(to_der(pair), NOW_S) is None
    assert verifier.verify(b"no certificate", NOW_S) is None
    assert CertificateVerifier().verify(to_der(authority.issue("front-proxy-client")), NOW_S) is None


def test_who_is_no_authority_vouches_for_nobody() -> None:
    root = Authority("root", now_s=NOW_S)
    for is_authority in (False, None):
        pretender = Authority("pretender", now_s=NOW_S, issuer=root, is_authority=is_authority)
        assert verifier_of(pretender).verify(to_der(pretender.issue("x")), NOW_S) is None


def test_an_authority_below_another_counts_by_itself(authority: Authority) -> None:
    below = Authority("below", now_s=NOW_S, issuer=authority)
    client = to_der(below.issue("front-proxy-client"))
    assert verifier_of(below).verify(client, NOW_S) is not None
    assert verifier_of(authority).verify(client, NOW_S) is None  # nobody shows the one between
    assert verifier_of(authority, below).verify(client, NOW_S) is not None


def test_a_verdict_holds_until_the_certificate_expires(authority: Authority) -> None:
    verifier = verifier_of(authority)
    short = to_der(authority.issue("front-proxy-client", ends_s=100.0))
    assert verifier.verify(short, NOW_S) is not None
    assert verifier.verify(short, NOW_S + 99.0) is verifier.verify(short, NOW_S)
    assert verifier.verify(short, NOW_S + 101.0) is None


def test_what_is_not_valid_yet_is_believed_once_it_is(authority: Authority) -> None:
    verifier = verifier_of(authority)
    early = to_der(authority.issue("front-proxy-client", usages=(CLIENT, SERVER), begins_s=10.0))
    assert verifier.verify(early, NOW_S) is None
    assert verifier.verify(early, NOW_S + 70.0) is not None


def test_no_flood_of_certificates_is_remembered(authority: Authority) -> None:
    verifier = verifier_of(authority)
    for number in range(3000):
        assert verifier.verify(b"%d" % number, NOW_S) is None
    assert len(verifier._verdicts) <= 1024


def test_bundles_are_read_whole_or_refused(authority: Authority) -> None:
    other = Authority("other", now_s=NOW_S)
    assert parse_authorities("") == ()
    assert parse_authorities(f"# a comment\n{authority.pem}\n{other.pem}") == (authority.certificate, other.certificate)
    for text in ("junk", authority.pem.replace("M", "!", 1)):
        with pytest.raises(BadDocument, match="PEM"):
            parse_authorities(text)
