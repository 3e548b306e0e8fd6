"""Label selectors as Kubernetes writes them in URLs: parsed whole, matched with set semantics. Text only; no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from adapter.errors import BadDocument

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_KEY = re.compile(rf"(?:(?P<prefix>[a-z0-9](?:[a-z0-9.-]{{0,251}}[a-z0-9])?)/)?{_NAME}")
_VALUE = re.compile(rf"(?:{_NAME})?")
_INTEGER = re.compile(r"-?[0-9]+")
_TOKEN = re.compile(r"\s*(==|!=|[=!<>(),]|[^\s=!<>(),]+)")


class Operator(StrEnum):
    """How a requirement looks at the value of its key."""

    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    ABSENT = "!"
    GREATER = ">"
    LESS = "<"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def is_met_by(self, labels: Mapping[str, str]) -> bool:
        """Return whether `labels` meet it; an absent key meets ``notin`` and ``!`` only."""
        value = labels.get(self.key)
        match self.operator:
            case Operator.EXISTS:
                return value is not None
            case Operator.ABSENT:
                return value is None
            case Operator.NOT_IN:
                return value is None or value not in self.values
            case Operator.IN:
                return value is not None and value in self.values
        if value is None or not _INTEGER.fullmatch(value):
            return False
        bound = int(self.values[0])
        return int(value) > bound if self.operator is Operator.GREATER else int(value) < bound


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """Requirements that must all be met; none means everything matches."""

    requirements: tuple[Requirement, ...] = ()

    def is_met_by(self, labels: Mapping[str, str]) -> bool:
        """Return whether `labels` meet every requirement."""
        return all(requirement.is_met_by(labels) for requirement in self.requirements)

    def get_only_value(self, key: str) -> str | None:
        """Return the one value of `key` that can match, None when there is no such requirement."""
        for requirement in self.requirements:
            if requirement.key == key and requirement.operator is Operator.IN and len(requirement.values) == 1:
                return requirement.values[0]
        return None


def parse_selector(text: str) -> LabelSelector:
    """Return the selector that `text` (unescaped) writes; empty text matches everything.

    Raises
    ------
    BadDocument
        Saying what was expected where.

    Source
    ------
    Kubernetes API conventions, labels and selectors: ``k=v``, ``k==v``, ``k!=v``, ``k in (a,b)``, ``k notin (a,b)``,
    ``k``, ``!k``, ``k>1``, ``k<1``; comma is AND.
    """
    if not text.strip():
        return LabelSelector()
    return LabelSelector(tuple(_Parser(text).parse()))


class _Parser:
    """Recursive descent over the tokens of one selector."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[str] = [
            *_TOKEN.findall(text),
            "",
        ]  # the pattern matches any character, so no text is skipped
        self._at = 0

    def parse(self) -> list[Requirement]:
        requirements = [self._parse_requirement()]
        while self._peek() == ",":
            self._take()
            requirements.append(self._parse_requirement())
        if self._peek():
            raise self._fail("a comma or the end")
        return requirements

    def _parse_requirement(self) -> Requirement:
        if self._peek() == "!":
            self._take()
            return Requirement(self._take_key(), Operator.ABSENT)
        key = self._take_key()
        match self._peek():
            case "" | ",":
                return Requirement(key, Operator.EXISTS)
            case "=" | "==":
                self._take()
                return Requirement(key, Operator.IN, (self._take_optional_value(),))
            case "!=":
                self._take()
                return Requirement(key, Operator.NOT_IN, (self._take_optional_value(),))
            case "in" | "notin":
                operator = Operator(self._take())
                return Requirement(key, operator, self._take_set())
            case ">" | "<":
                operator = Operator(self._take())
                return Requirement(key, operator, (self._take_integer(),))
        raise self._fail("one of = == != in notin > <")

    def _take_set(self) -> tuple[str, ...]:
        if self._take() != "(":
            raise self._fail("(", step_back=True)
        values = [self._take_optional_value()]
        while self._peek() == ",":
            self._take()
            values.append(self._take_optional_value())
        if self._take() != ")":
            raise self._fail(")", step_back=True)
        return tuple(values)

    def _take_key(self) -> str:
        key = self._take()
        if not _KEY.fullmatch(key):
            raise self._fail("a label key", step_back=True)
        return key

    def _take_optional_value(self) -> str:
        if self._peek() in ("", ",", ")"):
            return ""
        value = self._take()
        if not _VALUE.fullmatch(value):
            raise self._fail(
                "a label value (at most 63 of A-Z a-z 0-9 . _ -, alphanumeric at both ends)", step_back=True
            )
        return value

    def _take_integer(self) -> str:
        value = self._take()
        if not _INTEGER.fullmatch(value):
            raise self._fail("an integer", step_back=True)
        return value

    def _peek(self) -> str:
        return self._tokens[self._at]

    def _take(self) -> str:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _fail(self, expected: str, *, step_back: bool = False) -> BadDocument:
        at = max(self._at - 1, 0) if step_back and self._tokens[self._at - 1 : self._at] else self._at
        found = self._tokens[at]
        return BadDocument(f"labelSelector {self._text!r}: expected {expected}, found {found!r}")
