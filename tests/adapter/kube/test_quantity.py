"""Quantities of the Kubernetes API: its grammar, suffix by suffix."""

from __future__ import annotations

from random import Random

import pytest

from adapter.errors import BadDocument
from adapter.kube.quantity import parse_quantity, render_quantity


@pytest.mark.parametrize(
    "text, expected",
    [
        *[("0", 0.0), ("1", 1.0), ("+3", 3.0), ("-2", -2.0), ("1.5", 1.5), (".5", 0.5), ("5.", 5.0), ("007", 7.0)],
        *[("500m", 0.5), ("1500m", 1.5), ("100u", 1e-4), ("1n", 1e-9), ("-250m", -0.25)],
        *[("2k", 2e3), ("2M", 2e6), ("2G", 2e9), ("2T", 2e12), ("2P", 2e15), ("2E", 2e18)],
        *[("1Ki", 1024.0), ("1Mi", 2.0**20), ("1.5Gi", 1.5 * 2**30), ("80Ti", 80 * 2.0**40), ("1Pi", 2.0**50)],
        *[("1Ei", 2.0**60), ("1e3", 1e3), ("1E3", 1e3), ("1E-3", 1e-3), ("1e+3", 1e3), ("1E", 1e18), ("1E0", 1.0)],
        *[("9E", 9e18), ("10E", 2.0**63), ("-1e300", -(2.0**63)), (8, 8.0), (0.25, 0.25), (1e21, 2.0**63)],
    ],
)
def test_reads_every_suffix(text: object, expected: float) -> None:
    assert parse_quantity(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "1 Gi",
        "K",
        "1K",
        "1KI",
        "1gi",
        "1mi",
        "1Gib",
        "1e",
        "1e3Gi",
        "--1",
        "1,5",
        "0x10",
        "1e9999",
        "٣",
    ],
)
def test_refuses_what_is_no_quantity(text: str) -> None:
    with pytest.raises(BadDocument, match="must be a quantity"):
        parse_quantity(text)


@pytest.mark.parametrize("value", [None, True, [], {}, float("nan"), float("inf")])
def test_refuses_what_is_no_number_at_all(value: object) -> None:
    with pytest.raises(BadDocument, match="must be a quantity"):
        parse_quantity(value)


def test_writes_whole_numbers_plainly_and_others_in_thousandths() -> None:
    assert [render_quantity(value) for value in (0.0, 4.0, 4.5, -0.25, 1e6, 1 / 3)] == [
        *("0", "4", "4500m", "-250m", "1000000", "333m")
    ]


def test_thousandths_survive_writing_and_reading() -> None:
    stream = Random(11)
    for _ in range(2000):
        value = stream.randrange(-(10**9), 10**9) / 1000
        assert parse_quantity(render_quantity(value)) == value
