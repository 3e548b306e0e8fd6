"""How a section of the configuration is written down: frozen dataclasses whose fields carry kind, meaning and reason.

Pure; knows no section. ::

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Retry:
        '''What to do when nobody answers.'''

        attempts: int = option(count(at_least=1), default=3, meaning="Attempts in all.", why="Packets get lost.")
        pause_s: float = required(duration(), meaning="Wait between two attempts.")  # `pause: 2s` in the file

        @rule("attempts", "pause")
        def check_total(self) -> Iterator[Problem]: ...
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar, cast

from adapter.config.kinds import Kind
from adapter.config.problems import Problem

T = TypeVar("T")
D = TypeVar("D")
_OPTION = "adapter.config.option"


class SectionData(Protocol):
    """Any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


S = TypeVar("S", bound=SectionData)
Rule = Callable[[Any], Iterator[Problem]]


@dataclass(frozen=True, slots=True)
class Option:
    """What is known about one field.

    Attributes
    ----------
    name
        Of the field in the code.
    key
        Of the field in the file.
    kind
        How it is read.
    is_required
        Whether the file must have it.
    default
        Otherwise.
    meaning, why
        What it is, and why the default is what it is; the text of the reference.
    """

    name: str
    key: str
    kind: Kind[Any]
    is_required: bool
    default: object
    meaning: str
    why: str


def required(kind: Kind[T], *, meaning: str, key: str = "") -> T:
    """Return a field that the file must have."""
    return cast(T, dataclasses.field(metadata={_OPTION: (kind, key, meaning, "")}))


def option(kind: Kind[T], *, default: D, meaning: str, why: str = "", key: str = "") -> T | D:
    """Return a field that is `default` when the file lacks it, or has it empty.

    `key` is its name in the file where that is not the name in the code less its unit.
    """
    metadata = {_OPTION: (kind, key, meaning, why)}
    if isinstance(default, Mapping):
        return cast(D, dataclasses.field(default_factory=lambda: cast(Any, dict(default)), metadata=metadata))
    return dataclasses.field(default=default, metadata=metadata)


def given_fields() -> frozenset[str]:
    """Return a field that holds the names of those fields that the file itself gives; it is no option."""
    return cast(frozenset[str], dataclasses.field(default=frozenset(), compare=False, repr=False))


def iterate_options(section: type[SectionData]) -> Iterator[Option]:
    """Yield the options of a section in the order written."""
    for entry in dataclasses.fields(section):
        if _OPTION not in entry.metadata:
            continue
        kind, key, meaning, why = entry.metadata[_OPTION]
        is_required = entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
        default = entry.default if entry.default_factory is dataclasses.MISSING else entry.default_factory()
        yield Option(entry.name, key or entry.name.removesuffix(kind.suffix), kind, is_required, default, meaning, why)


def rule(*needs: str) -> Callable[[Callable[[S], Iterator[Problem]]], Callable[[S], Iterator[Problem]]]:
    """Mark a method as a rule across fields: it yields problems with paths relative to its section.

    Parameters
    ----------
    needs
        Keys, in the file, of the fields that must have been readable for the rule to have something to say.
    """

    def mark(method: Callable[[S], Iterator[Problem]]) -> Callable[[S], Iterator[Problem]]:
        method.needs = needs  # type: ignore[attr-defined]
        return method

    return mark


def iterate_rules(section: type[SectionData]) -> Iterator[tuple[tuple[str, ...], Rule]]:
    """Yield what each rule of a section needs, and the rule, in the order written."""
    for member in vars(section).values():
        if hasattr(member, "needs"):
            yield member.needs, member
