"""How the value of a field is read, described and rendered: one class per kind of value. Pure; knows no field names.

A kind reads what the file holds at a path and notes in `Findings` what it cannot read, giving its stand-in instead, so
that decoding goes on and finds the other problems too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from adapter.config.problems import Findings, join_index, join_key, suggest
from adapter.config.quantities import (
    DURATION_PATTERN,
    SIZE_PATTERN,
    parse_count,
    parse_duration_s,
    parse_flag,
    parse_number,
    parse_ratio,
    parse_size_bytes,
    render_duration,
    render_size,
)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
E = TypeVar("E", bound=StrEnum)
Schema = dict[str, Any]


class Kind(Protocol[T_co]):
    """One way to read a value."""

    @property
    def suffix(self) -> str:
        """End of the field name that the value's own unit makes superfluous in the file, such as ``_s``."""
        ...

    @property
    def stand_in(self) -> T_co:
        """What takes the place of a value that cannot be read."""
        ...

    def read(self, value: object, path: str, findings: Findings) -> T_co:
        """Return the value at `path`, or the stand-in after noting a problem."""
        ...

    def render(self, value: Any) -> object:
        """Return what the file would hold for `value`."""
        ...

    def describe(self) -> str:
        """Return what may stand there, for the reference."""
        ...

    def to_schema(self) -> Schema:
        """Return the JSON schema of what may stand there."""
        ...


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


@dataclass(frozen=True, slots=True)
class Text:
    """Text of one line; `pattern` restricts it and `name` says to what."""

    name: str = "text"
    pattern: str = r"[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*"
    stand_in: str = ""
    suffix: str = ""

    def admits(self, text: str) -> bool:
        """Whether `text` may stand there."""
        return re.fullmatch(self.pattern, text) is not None

    def read(self, value: object, path: str, findings: Findings) -> str:
        """Return the text at `path`; numbers are text too, as in ``engine_version: 0.32``."""
        is_scalar = isinstance(value, (str, int, float)) and not isinstance(value, bool)
        if not is_scalar or not self.admits(str(value)):
            findings.refuse(path, self.name, value)
            return self.stand_in
        return str(value)

    def render(self, value: str) -> object:
        """Return the text itself."""
        return value

    def describe(self) -> str:
        """Return what the text is."""
        return self.name

    def to_schema(self) -> Schema:
        """Return the schema."""
        return {"type": ["string", "number"], "pattern": f"^(?:{self.pattern})$"}


@dataclass(frozen=True, slots=True)
class Flag:
    """``true`` or ``false``."""

    stand_in: bool = False
    suffix: str = ""

    def read(self, value: object, path: str, findings: Findings) -> bool:
        """Return the flag at `path`."""
        try:
            return parse_flag(value)
        except ValueError as bound:
            findings.refuse(path, str(bound), value)
            return self.stand_in

    def render(self, value: bool) -> object:
        """Return the flag itself."""
        return value

    def describe(self) -> str:
        """Return both words."""
        return "true or false"

    def to_schema(self) -> Schema:
        """Return the schema."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Choice(Generic[E]):
    """One member of `options`, told by its value."""

    options: type[E]
    suffix: str = ""

    @property
    def stand_in(self) -> E:
        """The first member."""
        return next(iter(self.options))

    def read(self, value: object, path: str, findings: Findings) -> E:
        """Return the member at `path`."""
        names = [member.value for member in self.options]
        if isinstance(value, str) and value in names:
            return self.options(value)
        near = suggest(value, names) if isinstance(value, str) else ""
        findings.refuse(path, self.describe(), value, near if "did you mean" in near else "")
        return self.stand_in

    def render(self, value: E) -> object:
        """Return its value."""
        return value.value

    def describe(self) -> str:
        """Return the members."""
        names = [str(member.value) for member in self.options]
        return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"

    def to_schema(self) -> Schema:
        """Return the schema."""
        return {"enum": [member.value for member in self.options]}


@dataclass(frozen=True, slots=True)
class ListOf(Generic[T]):
    """A list of values of one kind."""

    item: Kind[T]
    at_least: int = 0
    suffix: str = ""

    @property
    def stand_in(self) -> tuple[T, ...]:
        """No items."""
        return ()

    def read(self, value: object, path: str, findings: Findings) -> tuple[T, ...]:
        """Return the items at `path`."""
        if not isinstance(value, (list, tuple)):
            findings.refuse(path, "a list", value)
            return ()
        if len(value) < self.at_least:
            findings.refuse(path, f"a list of at least {self.at_least}", f"{len(value)} items")
        return tuple(self.item.read(entry, join_index(path, i), findings) for i, entry in enumerate(value))

    def render(self, value: tuple[T, ...]) -> object:
        """Return the items as the file would hold them."""
        return [self.item.render(entry) for entry in value]

    def describe(self) -> str:
        """Return what the items are."""
        return f"list of {self.item.describe()}"

    def to_schema(self) -> Schema:
        """Return the schema."""
        return {
            "type": "array",
            "items": self.item.to_schema(),
            **({"minItems": self.at_least} if self.at_least else {}),
        }


@dataclass(frozen=True, slots=True)
class MapOf(Generic[T]):
    """Values of one kind by name."""

    item: Kind[T]
    suffix: str = ""

    @property
    def stand_in(self) -> Mapping[str, T]:
        """No entries."""
        return {}

    def read(self, value: object, path: str, findings: Findings) -> Mapping[str, T]:
        """Return the entries at `path`."""
        if not isinstance(value, Mapping):
            findings.refuse(path, "a mapping of names", value)
            return {}
        return {str(name): self.item.read(entry, join_key(path, str(name)), findings) for name, entry in value.items()}

    def render(self, value: Mapping[str, T]) -> object:
        """Return the entries as the file would hold them."""
        return {name: self.item.render(entry) for name, entry in value.items()}

    def describe(self) -> str:
        """Return what the entries are."""
        return f"name: {self.item.describe()}"

    def to_schema(self) -> Schema:
        """Return the schema."""
        return {"type": "object", "additionalProperties": self.item.to_schema()}


@dataclass(frozen=True, slots=True)
class OrUnknown(Generic[T]):
    """A value of another kind, or the word ``unknown``, which is read as None."""

    item: Kind[T]
    suffix: str = ""

    @property
    def stand_in(self) -> T | None:
        """Unknown."""
        return None

    def read(self, value: object, path: str, findings: Findings) -> T | None:
        """Return the value at `path`, None when it is ``unknown``."""
        return None if value == "unknown" else self.item.read(value, path, findings)

    def render(self, value: T | None) -> object:
        """Return the value as the file would hold it."""
        return "unknown" if value is None else self.item.render(value)

    def describe(self) -> str:
        """Return both possibilities."""
        return f"{self.item.describe()}; or unknown"

    def to_schema(self) -> Schema:
        """Return the schema."""
        return {"anyOf": [self.item.to_schema(), {"const": "unknown"}]}


@dataclass(frozen=True, slots=True)
class Plain:
    """Whatever a file can hold, scalars read as JSON would read them: for options that somebody else checks."""

    stand_in: object = None
    suffix: str = ""

    def read(self, value: object, path: str, findings: Findings) -> object:
        """Return the value at `path`."""
        if isinstance(value, Mapping):
            return {str(key): self.read(entry, join_key(path, str(key)), findings) for key, entry in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.read(entry, join_index(path, i), findings) for i, entry in enumerate(value)]
        return self._resolve(value) if isinstance(value, str) else value

    @staticmethod
    def _resolve(text: str) -> object:
        for parse in (parse_flag, parse_count, parse_number):
            try:
                return parse(text)
            except ValueError:
                continue
        return text

    def render(self, value: object) -> object:
        """Return the value itself."""
        return value

    def describe(self) -> str:
        """Return what may stand there."""
        return "any value"

    def to_schema(self) -> Schema:
        """Return the schema."""
        return {}


def _render_number(value: float) -> object:
    return int(value) if value == int(value) else value
