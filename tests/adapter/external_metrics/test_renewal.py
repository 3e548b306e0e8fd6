"""Certificates of our own through the years: always valid, always trusted by everybody who may still look elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from adapter.errors import BadDocument
from adapter.external_metrics.key_pair import check_key_pair, read_chain
from adapter.external_metrics.renewal import (
    AUTHORITY_LIFE_S,
    DAY_S,
    OVERLAP_S,
    SERVING_LIFE_S,
    from_data,
    renew,
    to_data,
)

NOW_S = 1_795_000_000.0
NAMES = ("autoscaler.system.svc", "localhost", "127.0.0.1")
LAG_S = 1800.0  # of replicas and API servers behind what is stored


@cache
def is_trusted(chain_pem: bytes, trusted_pem: bytes) -> bool:
    """Whether who trusts `trusted_pem` accepts a server that shows `chain_pem`."""
    leaf = read_chain(chain_pem)[0]
    return any(is_issued_by(leaf, authority) for authority in read_chain(trusted_pem))


def is_issued_by(leaf: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(authority)
    except (ValueError, InvalidSignature):
        return False
    return authority.not_valid_before_utc <= leaf.not_valid_after_utc <= authority.not_valid_after_utc


@pytest.mark.parametrize(
    "tell",
    [lambda trusted_pem: trusted_pem, lambda _trusted_pem: None, lambda _trusted_pem: b"junk"],
    ids=["published", "nobody tells", "never published"],
)
def test_through_twelve_years_nobody_ever_meets_a_certificate_it_does_not_trust(
    tell: Callable[[bytes], bytes | None],
) -> None:
    now_s = NOW_S
    before = renew(None, NAMES, now_s, None)
    authorities, leaves, quiet_until_s = set[bytes](), set[bytes](), now_s
    while now_s < NOW_S + 4 * AUTHORITY_LIFE_S:
        now = renew(before, NAMES, now_s, tell(before.trusted_pem))
        for shown in (before, now):  # a replica that has not looked yet
            for trusted in (before, now):  # an API server that was not told yet
                assert is_trusted(shown.serving.chain_pem, trusted.trusted_pem)
        check_key_pair(now.serving, now_s)
        authorities.add(now.authority.chain_pem)
        leaves.add(now.serving.chain_pem)
        if now is not before:
            assert from_data(to_data(now)) == now
            quiet_until_s = now_s + 5 * OVERLAP_S
        before, now_s = now, now_s + (LAG_S if now_s < quiet_until_s else 4 * DAY_S)
    assert 5 <= len(authorities) <= 6
    assert 4 * AUTHORITY_LIFE_S / SERVING_LIFE_S < len(leaves) < 2 * 4 * AUTHORITY_LIFE_S / SERVING_LIFE_S
    assert len(read_chain(before.trusted_pem)) == 1


def test_nothing_is_changed_while_nothing_is_due() -> None:
    bundle = renew(None, NAMES, NOW_S, None)
    for later_s in (1.0, OVERLAP_S, 59 * DAY_S):
        assert renew(bundle, NAMES, NOW_S + later_s, bundle.trusted_pem) is bundle
    renewed = renew(bundle, NAMES, NOW_S + 61 * DAY_S, bundle.trusted_pem)
    assert (renewed.authority, renewed.trusted_pem) == (bundle.authority, bundle.trusted_pem)
    assert renewed.serving != bundle.serving


def test_a_change_of_authority_takes_three_steps_with_time_between() -> None:
    first = renew(None, NAMES, NOW_S, None)
    due_s = NOW_S + 0.81 * AUTHORITY_LIFE_S
    both = renew(first, NAMES, due_s, first.trusted_pem)
    assert both.authority == first.authority
    assert both.successor is not None
    assert [len(read_chain(bundle.trusted_pem)) for bundle in (first, both)] == [1, 2]
    assert renew(both, NAMES, due_s + OVERLAP_S - 1.0, both.trusted_pem) is both
    assert renew(both, NAMES, due_s + OVERLAP_S, first.trusted_pem) is both  # not published yet: wait
    changed = renew(both, NAMES, due_s + OVERLAP_S, both.trusted_pem)
    assert (changed.authority, changed.successor, changed.trusted_pem) == (both.successor, None, both.trusted_pem)
    assert renew(changed, NAMES, due_s + 2 * OVERLAP_S - 1.0, both.trusted_pem) is changed
    last = renew(changed, NAMES, due_s + 2 * OVERLAP_S, both.trusted_pem)
    assert last.trusted_pem == changed.authority.chain_pem
    assert last.serving == changed.serving


def test_another_name_brings_another_certificate_of_the_same_authority() -> None:
    bundle = renew(None, NAMES, NOW_S, None)
    renamed = renew(bundle, (*NAMES, "other.system.svc"), NOW_S + 1.0, None)
    assert "other.system.svc" in check_key_pair(renamed.serving, NOW_S + 1.0).names
    assert renamed.trusted_pem == bundle.trusted_pem


def test_what_is_missing_or_does_not_fit_is_named() -> None:
    data = to_data(renew(None, NAMES, NOW_S, None))
    other = to_data(renew(None, NAMES, NOW_S, None))
    with pytest.raises(BadDocument, match=r"lacks ca\.key"):
        from_data({key: value for key, value in data.items() if key != "ca.key"})
    with pytest.raises(BadDocument, match=r"no certificate for ca\.key"):
        from_data({**data, "ca.key": other["ca.key"]})
    with pytest.raises(BadDocument, match="cannot be read"):
        from_data({**data, "ca.crt": b"junk"})
