"""Selectors match as Kubernetes documents, and what cannot be parsed is refused with what was expected."""

import random

import pytest

from adapter.errors import BadDocument
from adapter.external_metrics import parse_selector

LABELS = {"deployment": "llama-70b", "tier": "gold", "replicas": "5", "example.com/team": "a.b-c"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "deployment=llama-70b",
        "deployment==llama-70b",
        "deployment = llama-70b , tier=gold",
        "deployment!=other",
        "absent!=x",
        "deployment in (a, llama-70b)",
        "deployment notin (a,b)",
        "absent notin (a)",
        "deployment",
        "!absent",
        "replicas>4",
        "replicas<6",
        "example.com/team=a.b-c",
        "absent!=",
    ],
)
def test_matches(text: str) -> None:
    assert parse_selector(text).is_met_by(LABELS)


@pytest.mark.parametrize(
    "text",
    [
        "deployment=other",
        "deployment!=llama-70b",
        "deployment in (a,b)",
        "deployment notin (llama-70b)",
        "absent",
        "!deployment",
        "absent=x",
        "absent in (x)",
        "replicas>5",
        "replicas<5",
        "tier>1",
        "absent>1",
        "deployment=llama-70b,tier=silver",
        "tier=",
    ],
)
def test_does_not_match(text: str) -> None:
    assert not parse_selector(text).is_met_by(LABELS)


@pytest.mark.parametrize(
    "text",
    [
        ",",
        "a=b,",
        "a=b c",
        "a in x",
        "a in (x",
        "a notin x)",
        "=b",
        "a>b",
        "a>",
        "!",
        "a=b/c",
        "a===b",
        "-a=b",
        "a=" + "x" * 64,
        "a" * 64 + "=b",
        "a/b/c=d",
        "a!b",
    ],
)
def test_refuses_what_cannot_be_parsed(text: str) -> None:
    with pytest.raises(BadDocument, match="expected"):
        parse_selector(text)


def test_agrees_with_set_semantics_on_random_selectors() -> None:
    rng = random.Random(7)
    for _ in range(500):
        values = rng.sample(["a", "b", "c", "d"], rng.randint(1, 3))
        label = rng.choice(["a", "b", "c", "d", None])
        labels = {} if label is None else {"k": label}
        joined = ",".join(values)
        assert parse_selector(f"k in ({joined})").is_met_by(labels) == (label in values)
        assert parse_selector(f"k notin ({joined})").is_met_by(labels) == (label not in values)
        every = ",".join(f"k!={value}" for value in values)
        assert parse_selector(every).is_met_by(labels) == (label not in values)
