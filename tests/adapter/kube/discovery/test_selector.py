from __future__ import annotations

import itertools

import pytest

from adapter.errors import BadDocument
from adapter.kube.discovery.selector import matches, parse_selector

_LABELS = [dict(zip(("app", "tier"), values, strict=True)) for values in itertools.product(("a", "b"), ("x", "y"))]


@pytest.mark.parametrize(
    "text, labels, expected",
    [
        ("app=a", {"app": "a"}, True),
        ("app==a", {"app": "a"}, True),
        ("app=a", {}, False),
        ("app!=a", {}, True),
        ("app!=a", {"app": "a"}, False),
        ("app in (a, b),tier=x", {"app": "b", "tier": "x"}, True),
        ("app in (a,b),tier=x", {"app": "c", "tier": "x"}, False),
        ("app notin (a,b)", {}, True),
        ("app notin (a,b)", {"app": "b"}, False),
        ("app", {"app": ""}, True),
        ("!app", {"app": ""}, False),
        ("!app", {}, True),
        ("app=", {"app": ""}, True),
        ("leaderworkerset.sigs.k8s.io/name=r1,x/y=0", {"leaderworkerset.sigs.k8s.io/name": "r1", "x/y": "0"}, True),
        ("", {"anything": "at all"}, True),
    ],
)
def test_selector_means_what_kubernetes_means(text: str, labels: dict[str, str], expected: bool) -> None:
    assert matches(parse_selector(text), labels) is expected


def test_sets_are_sums_of_equalities() -> None:
    for labels in _LABELS:
        by_set = matches(parse_selector("app in (a,b),tier notin (y)"), labels)
        one_by_one = any(matches(parse_selector(f"app={value},tier!=y"), labels) for value in "ab")
        assert by_set == one_by_one


@pytest.mark.parametrize("text", ["app in a", "a=b=c", "in (a)", "app in (a", "a>1"])
def test_what_is_no_selector_is_refused(text: str) -> None:
    with pytest.raises(BadDocument, match="label selector"):
        parse_selector(text)
