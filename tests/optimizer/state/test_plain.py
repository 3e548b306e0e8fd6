from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pytest

from optimizer import InvalidInput
from optimizer.state.plain import from_plain, to_plain


class Color(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, order=True)
class Point:
    x: float
    y: int = 3


@dataclass(frozen=True, slots=True)
class Box:
    name: str
    points: tuple[Point, ...] = ()
    pair: tuple[str, int] = ("", 0)
    color: Color = Color.RED
    by_point: Mapping[Point, float] = field(default_factory=dict)
    by_name: Mapping[str, Point] = field(default_factory=dict)
    anything: Mapping[str, Any] = field(default_factory=dict)
    maybe: Point | None = None
    is_open: bool = False


BOXES = [
    Box("plain"),
    Box(
        "full",
        (Point(1.5), Point(-0.1, 7)),
        ("a", 1),
        Color.BLUE,
        {Point(1.0): 2.0},
        {"p": Point(0.25)},
        {},
        Point(1.0),
    ),
    Box("limits", (Point(math.inf), Point(-math.inf), Point(1e-300), Point(0.1 + 0.2))),
    Box("nested", anything={"list": [1, 2.5, None, {"deep": ["x", True]}], "empty": {}}, is_open=True),
]


@pytest.mark.parametrize("box", BOXES, ids=lambda box: box.name)
def test_reading_back_what_was_written_gives_the_same(box: Box) -> None:
    assert from_plain(Box, json.loads(json.dumps(to_plain(box), allow_nan=False))) == box


def test_defaults_take_no_room() -> None:
    assert to_plain(Box("small")) == {"name": "small"}


@pytest.mark.parametrize(
    "plain",
    [
        None,
        [],
        {},
        {"name": 3},
        {"name": "a", "unknown": 1},
        {"name": "a", "color": "green"},
        {"name": "a", "points": [{"x": "wide"}]},
        {"name": "a", "points": {"x": 1.0}},
        {"name": "a", "pair": ["a"]},
        {"name": "a", "by_point": [[{"x": 1.0}]]},
        {"name": "a", "is_open": 1},
        {"name": "a", "maybe": {"x": True}},
    ],
)
def test_what_does_not_fit_is_refused(plain: object) -> None:
    with pytest.raises(InvalidInput):
        from_plain(Box, plain)


def test_types_without_a_plain_form_are_refused() -> None:
    with pytest.raises(InvalidInput):
        to_plain({1, 2})
