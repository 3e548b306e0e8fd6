"""What is refused as a serving certificate, and what is read from a good one."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from adapter.errors import BadDocument
from adapter.external_metrics.issuing import issue_serving, make_authority, make_serving_names
from adapter.external_metrics.key_pair import KeyPair, check_key_pair
from tests.builders.authorities import LIFE_S, Authority

NOW_S = 1_795_000_000.0


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("ca", now_s=NOW_S)


@pytest.mark.parametrize("is_rsa", [False, True])
def test_good_pairs_tell_their_names_and_dates(authority: Authority, is_rsa: bool) -> None:
    facts = check_key_pair(authority.issue_server("a.b.svc", is_rsa=is_rsa), NOW_S)
    assert facts.names == ("a.b.svc", "localhost")
    assert (facts.not_before_s, facts.not_after_s) == (NOW_S - LIFE_S, NOW_S + LIFE_S)


def test_bad_pairs_are_refused_with_the_reason(authority: Authority) -> None:
    good, other, rsa = authority.issue_server(), authority.issue_server(), authority.issue_server(is_rsa=True)
    key = load_pem_private_key(good.key_pem, None)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    for pair, at_s, words in (
        (KeyPair(good.chain_pem, other.key_pem), NOW_S, "do not belong together"),
        (KeyPair(good.chain_pem, rsa.key_pem), NOW_S, "do not belong together"),
        (KeyPair(good.chain_pem, good.key_pem[:80]), NOW_S, "the key cannot be used"),
        (KeyPair(good.chain_pem, b""), NOW_S, "the key cannot be used"),
        (KeyPair(good.chain_pem, secret), NOW_S, "the key cannot be used: Password"),
        (KeyPair(good.chain_pem[:200], good.key_pem), NOW_S, "the certificate cannot be read"),
        (KeyPair(b"", good.key_pem), NOW_S, "the certificate cannot be read"),
        (good, NOW_S + LIFE_S, "expired on 2026-11-18 12:06 UTC"),
        (good, NOW_S - LIFE_S - 1.0, "not valid before 2026-11-18 10:06 UTC"),
    ):
        with pytest.raises(BadDocument, match=words):
            check_key_pair(pair, at_s)


def test_keys_are_not_shown() -> None:
    pair = make_authority("ours", NOW_S, LIFE_S)
    assert b"PRIVATE KEY" in pair.key_pem
    assert "PRIVATE" not in repr(pair)


def test_ours_carry_every_name_the_server_is_called_by() -> None:
    names = make_serving_names("autoscaler", "system")
    pair = issue_serving(make_authority("ours", NOW_S, LIFE_S), names, NOW_S, 10 * LIFE_S)
    facts = check_key_pair(pair, NOW_S)
    assert facts.names[0] == "autoscaler.system.svc"
    assert set(facts.names) == {
        *("autoscaler.system.svc", "autoscaler.system", "autoscaler.system.svc.cluster.local", "localhost"),
        *("127.0.0.1", "::1"),
    }
    assert facts.not_after_s == NOW_S + LIFE_S  # no longer than its authority


def test_a_foreign_key_cannot_sign_for_us(authority: Authority) -> None:
    rsa = authority.issue_server(is_rsa=True)
    with pytest.raises(BadDocument, match="none of ours"):
        issue_serving(rsa, ("a",), NOW_S, LIFE_S)
    with pytest.raises(BadDocument, match="cannot be used"):
        issue_serving(KeyPair(rsa.chain_pem, b"junk"), ("a",), NOW_S, LIFE_S)
