"""Checks a YAML document as a Go program that reads it strictly would: by the fields its source declares. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TypeAlias

_STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r'^\s*\w+\s+(\S+)\s+`.*?yaml:"(\w+)', re.MULTILINE)
_PLAIN: Mapping[str, type] = {"string": str, "bool": bool}

Structs: TypeAlias = Mapping[str, Mapping[str, str]]
"""Types of the fields, by name of the struct and by name of the field in YAML."""


def parse_structs(source: str) -> Structs:
    """Return the structs of a Go file whose fields have names in YAML."""
    return {name: {field: kind for kind, field in _FIELD.findall(body)} for name, body in _STRUCT.findall(source)}


def find_faults(value: object, kind: str, structs: Structs, path: str = "") -> Iterator[str]:
    """Yield what a strict reader of type `kind` would refuse in `value`: unknown fields, and values of another type."""
    if kind.startswith("*"):
        yield from find_faults(value, kind[1:], structs, path)
    elif kind.startswith("[]") and isinstance(value, list):
        for i, item in enumerate(value):
            yield from find_faults(item, kind[2:], structs, f"{path}[{i}]")
    elif kind.startswith("map[string]") and isinstance(value, Mapping):
        for key, inner in value.items():
            yield from find_faults(inner, kind.removeprefix("map[string]"), structs, f"{path}.{key}")
    elif kind in structs and isinstance(value, Mapping):
        for key, inner in value.items():
            if key in structs[kind]:
                yield from find_faults(inner, structs[kind][key], structs, f"{path}.{key}")
            else:
                yield f"{path}.{key} is no field of {kind}"
    elif not isinstance(value, _PLAIN.get(kind, ())):
        yield f"{path} must be {kind}, got {value!r}"
