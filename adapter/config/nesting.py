"""Kinds that hold another: lists, mappings of names, and the word ``unknown`` in its place. Pure; knows no field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from adapter.config.kinds import Kind, Schema
from adapter.config.problems import Findings, join_index, join_key

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ListOf(Generic[T]):
    """A list of values of one kind."""

    item: Kind[T]
    at_least: int = 0

    @property
    def suffix(self) -> str:
        """That of its items: `decode_s` is ``decode: [6ms, 7ms]``."""
        return self.item.suffix

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
        return f"list; each: {self.item.describe()}"

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
    at_least: int = 0
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
        if len(value) < self.at_least:
            findings.refuse(path, f"a mapping of at least {self.at_least}", f"{len(value)} entries")
        return {str(name): self.item.read(entry, join_key(path, str(name)), findings) for name, entry in value.items()}

    def render(self, value: Mapping[str, T]) -> object:
        """Return the entries as the file would hold them."""
        return {name: self.item.render(entry) for name, entry in value.items()}

    def describe(self) -> str:
        """Return what the entries are."""
        return f"by name; each: {self.item.describe()}"

    def to_schema(self) -> Schema:
        """Return the schema."""
        least = {"minProperties": self.at_least} if self.at_least else {}
        return {"type": "object", "additionalProperties": self.item.to_schema(), **least}


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
