"""Decoding of sections: unknown, missing and unreadable fields, then the rules across fields, all in one go. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any, Generic, cast

from adapter.config.fields import Option, S, iterate_options, iterate_rules
from adapter.config.kinds import Schema
from adapter.config.problems import Findings, Problem, join_key, join_path, suggest

_GIVEN = "given"


@dataclass(frozen=True, slots=True)
class Section(Generic[S]):
    """The kind of a section: a mapping whose keys are the options of `record`."""

    record: type[S]
    suffix: str = ""

    @property
    def stand_in(self) -> S:
        """A section of defaults, stand-ins where there is no default."""
        return self._build({})

    def read(self, value: object, path: str, findings: Findings) -> S:
        """Return the section at `path`."""
        if not isinstance(value, Mapping):
            findings.refuse(path, "a mapping", value)
            return self.stand_in
        options = list(iterate_options(self.record))
        self._find_unknown_keys(value, options, path, findings)
        values = {o.name: _read_option(o, value.get(o.key), path, findings) for o in options}
        if _GIVEN in self.record.__dataclass_fields__:
            values[_GIVEN] = frozenset(o.name for o in options if value.get(o.key) is not None)
        section = self._build(values)
        self._apply_rules(section, path, findings)
        return section

    def _build(self, values: Mapping[str, Any]) -> S:
        missing = {o.name: o.kind.stand_in for o in iterate_options(self.record) if o.is_required}
        return self.record(**{**missing, **values})

    @staticmethod
    def _find_unknown_keys(
        value: Mapping[object, object], options: list[Option], path: str, findings: Findings
    ) -> None:
        known = [o.key for o in options]
        for key in value:
            if key not in known:
                findings.report(join_key(path, str(key)), f"is not known{suggest(str(key), known)}")

    def _apply_rules(self, section: S, path: str, findings: Findings) -> None:
        for needs, check in iterate_rules(self.record):
            if all(findings.is_sound(join_path(path, need)) for need in needs):
                for problem in check(section):
                    findings.problems.append(Problem(join_path(path, problem.path), problem.message))

    def render(self, value: S) -> object:
        """Return what differs from the defaults, as the file would hold it."""
        shown = {}
        for o in iterate_options(self.record):
            present = getattr(value, o.name)
            if o.is_required or (present is not None and present != o.default):
                shown[o.key] = o.kind.render(present)
        return shown

    def describe(self) -> str:
        """Return what the reference says in a table."""
        return "section"

    def to_schema(self) -> Schema:
        """Return the schema."""
        options = list(iterate_options(self.record))
        missing = [o.key for o in options if o.is_required]
        return {
            "type": "object",
            "description": _first_paragraph(self.record),
            "properties": {o.key: _to_property(o) for o in options},
            "additionalProperties": False,
            **({"required": missing} if missing else {}),
        }


def _read_option(o: Option, value: object, path: str, findings: Findings) -> object:
    at = join_key(path, o.key)
    if value is not None and not (value == "" and o.default == ""):
        read = o.kind.read(value, at, findings)
        is_whole = isinstance(read, (tuple, Mapping)) or is_dataclass(read)  # what is sound in it is judged further
        return read if is_whole or o.is_required or findings.is_sound(at) else o.default
    if o.is_required:
        findings.miss(at, o.meaning)
        return o.kind.stand_in
    return o.default


def _to_property(o: Option) -> Schema:
    schema = o.kind.to_schema()
    text = " ".join(part for part in (o.meaning, o.why) if part)
    shown = None if o.default is None or o.is_required else o.kind.render(o.default)
    default = {} if shown is None or shown in ({}, [], "") else {"default": shown}
    if not o.is_required:
        schema = {"anyOf": [schema, {"type": "null"}]}  # a key without a value means its default
    return cast(Schema, {**schema, "description": text, **default})


def _first_paragraph(record: type[object]) -> str:
    return " ".join((record.__doc__ or "").split("\n\n")[0].split())
