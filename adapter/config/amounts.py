"""Kinds of numbers: durations, moments, sizes, ratios, counts, each within bounds. Pure; knows no field names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from adapter.config.kinds import Schema
from adapter.config.problems import Findings
from adapter.config.quantities import (
    DURATION_PATTERN,
    SIZE_PATTERN,
    TIMESTAMP_PATTERN,
    parse_count,
    parse_duration_s,
    parse_number,
    parse_ratio,
    parse_size_bytes,
    parse_timestamp_s,
    render_duration,
    render_size,
    render_timestamp,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Bounds of a number; None means none. `above` is exclusive, `at_least` and `at_most` are not, `below` is."""

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def admits(self, number: float) -> bool:
        """Whether `number` lies within."""
        return not (
            (self.at_least is not None and number < self.at_least)
            or (self.above is not None and number <= self.above)
            or (self.at_most is not None and number > self.at_most)
            or (self.below is not None and number >= self.below)
        )

    def describe(self, render: Callable[[float], object]) -> str:
        """Return text such as ``> 0 and <= 1``, "" without bounds."""
        named = ((">=", self.at_least), (">", self.above), ("<=", self.at_most), ("<", self.below))
        return " and ".join(f"{sign} {render(bound)}" for sign, bound in named if bound is not None)

    def to_schema(self) -> Schema:
        """Return the keywords of JSON schema."""
        named = {
            "minimum": self.at_least,
            "exclusiveMinimum": self.above,
            "maximum": self.at_most,
            "exclusiveMaximum": self.below,
        }
        return {keyword: bound for keyword, bound in named.items() if bound is not None}


@dataclass(frozen=True, slots=True)
class Amount(Generic[T]):
    """A number of some unit within bounds; see `duration`, `size`, `number`, `ratio` and `count`."""

    parse: Callable[[object], T]
    render: Callable[[Any], object]
    name: str
    schema: Mapping[str, object]
    bounds: Bounds
    stand_in: T
    suffix: str = ""

    def read(self, value: object, path: str, findings: Findings) -> T:
        """Return the number at `path`."""
        try:
            number = self.parse(value)
        except ValueError as bound:
            findings.refuse(path, str(bound), value)
            return self.stand_in
        if not self.bounds.admits(number):  # type: ignore[arg-type]
            findings.refuse(path, self.bounds.describe(self.render), value)
            return self.stand_in
        return number

    def describe(self) -> str:
        """Return the name of the unit and the bounds."""
        return ", ".join(part for part in (self.name, self.bounds.describe(self.render)) if part)

    def to_schema(self) -> Schema:
        """Return the schema; bounds of values with a unit cannot be told in it."""
        return {**self.schema, **({} if "pattern" in str(self.schema) else self.bounds.to_schema())}


def duration(*, at_least: float | None = None, above: float | None = None) -> Amount[float]:
    """Return the kind of a duration; bounds in seconds, from 0 on unless told."""
    bounds = Bounds(at_least=0.0 if at_least is None and above is None else at_least, above=above)
    schema = {"anyOf": [{"type": "string", "pattern": DURATION_PATTERN}, {"const": 0}]}
    return Amount(parse_duration_s, render_duration, "duration", schema, bounds, 1.0, "_s")


def timestamp() -> Amount[float]:
    """Return the kind of a moment in Unix seconds, written as date and time with zone."""
    schema = {"type": "string", "pattern": TIMESTAMP_PATTERN}
    return Amount(parse_timestamp_s, render_timestamp, "date and time with zone", schema, Bounds(), 0.0, "_s")


def size(*, at_least: float = 0.0) -> Amount[float]:
    """Return the kind of a size in bytes."""
    schema = {"anyOf": [{"type": "string", "pattern": SIZE_PATTERN}, {"type": "integer", "minimum": 0}]}
    return Amount(parse_size_bytes, render_size, "size", schema, Bounds(at_least=at_least), 1.0, "_bytes")


def number(**bounds: float) -> Amount[float]:
    """Return the kind of a finite number, with keywords of `Bounds`."""
    return Amount(parse_number, _render_number, "number", {"type": "number"}, Bounds(**bounds), 1.0)


def ratio(**bounds: float) -> Amount[float]:
    """Return the kind of a share of 1, from 0 to 1 unless keywords of `Bounds` say otherwise."""
    within = Bounds(**(bounds or {"at_least": 0.0, "at_most": 1.0}))
    return Amount(parse_ratio, _render_number, "ratio", {"type": "number"}, within, 1.0)


def count(*, at_least: int = 0, at_most: int | None = None) -> Amount[int]:
    """Return the kind of a whole number, from 0 on unless told."""
    bounds = Bounds(at_least=at_least, at_most=at_most)
    return Amount(parse_count, _render_number, "whole number", {"type": "integer"}, bounds, at_least)


def _render_number(value: float) -> object:
    return int(value) if value == int(value) else value
