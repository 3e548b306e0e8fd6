"""How the value of a field is read, described and rendered: one class per kind of value. Pure; knows no field names.

A kind reads what the file holds at a path and notes in `Findings` what it cannot read, giving its stand-in instead, so
that decoding goes on and finds the other problems too. Numbers are in `amounts`, lists and mappings in `nesting`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from adapter.config.problems import Findings, join_index, join_key, suggest
from adapter.config.quantities import parse_count, parse_flag, parse_number

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
