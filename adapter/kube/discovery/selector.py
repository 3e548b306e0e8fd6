"""Label selectors in text, as scales have them, and whether labels match them. Pure text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from adapter.errors import BadDocument

_SET = re.compile(r"(?P<key>[^\s!=<>(),]+)\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)")
_EQUAL = re.compile(r"(?P<key>[^\s!=<>(),]+)\s*(?P<operator>==|=|!=)\s*(?P<value>[^\s!=<>(),]*)")
_EXISTS = re.compile(r"(?P<absent>!?)\s*(?P<key>[^\s!=<>(),]+)")
_PART = re.compile(r",(?![^()]*\))")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label: ``In``, ``NotIn``, ``Exists`` or ``DoesNotExist``."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether `labels` meet it; a label that is absent meets ``NotIn``."""
        value = labels.get(self.key)
        if self.operator == "In":
            return value in self.values
        if self.operator == "NotIn":
            return value not in self.values
        return (value is not None) == (self.operator == "Exists")


Selector = tuple[Requirement, ...]
"""Conditions that all hold."""


def matches(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Whether `labels` meet all of `selector`; an empty one matches everything."""
    return all(requirement.matches(labels) for requirement in selector)


def parse_selector(text: str) -> Selector:
    """Return the selector that `text` is, such as ``app=llama,tier in (a,b)``, as a scale's ``status.selector`` has it.

    Raises
    ------
    BadDocument
        When it is none.
    """
    parts = [part.strip() for part in _PART.split(text) if part.strip()]
    return tuple(_parse_part(part) for part in parts)


def _parse_part(part: str) -> Requirement:
    found = _SET.fullmatch(part)
    if found is not None:
        values = frozenset(value.strip() for value in found["values"].split(","))
        return Requirement(found["key"], "In" if found["operator"] == "in" else "NotIn", values)
    found = _EQUAL.fullmatch(part)
    if found is not None:
        operator = "NotIn" if found["operator"] == "!=" else "In"
        return Requirement(found["key"], operator, frozenset({found["value"]}))
    found = _EXISTS.fullmatch(part)
    if found is None:
        raise BadDocument(f"cannot be read as a label selector: {part!r}")
    return Requirement(found["key"], "DoesNotExist" if found["absent"] else "Exists")
