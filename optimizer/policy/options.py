"""Read the options of a policy out of plain values, naming everything that is wrong at once. It knows no option itself.

A policy decodes its ``policy_options`` into a frozen dataclass of its own, so that the rest of it meets no mapping::

    def decode_options(options: Mapping[str, object]) -> PanicOptions:
        reader = OptionReader(options)
        decoded = PanicOptions(
            stable_window_s=reader.duration_s("stable_window", 60.0, above=0.0),  # 30, "30s" and "1m30s" will do
            target_requests=reader.number("target_requests", 100.0, above=0.0),
        )
        reader.finish()  # raises, naming every problem; until then defaults stand in for what is wrong
        return decoded
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from optimizer.errors import InvalidInput

N = TypeVar("N", float, float | None)
C = TypeVar("C", int, int | None)
T = TypeVar("T", str, str | None)
E = TypeVar("E", bound=StrEnum)
V = TypeVar("V")

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h|d)")
_DURATION_BOUND = "a duration, such as 30s, 1m30s or a number of seconds"
_NOTHING: Mapping[str, object] = {}
_NO_ITEMS: Sequence[object] = ()
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class OptionProblem:
    """One thing that is wrong: where, such as ``policy_options.metrics[0].target``, and what to know about it."""

    path: str
    message: str

    def __str__(self) -> str:
        """Return the line a person reads."""
        return f"{self.path} {self.message}"


class InvalidOptions(InvalidInput):
    """Options that are not valid: `problems` holds every one, the message all of them, parted by semicolons.

    `field`, `bound` and `value` are those of the first that has them.
    """

    def __init__(self, problems: Sequence[OptionProblem], first: InvalidInput | None = None) -> None:
        cause = first or InvalidInput(problems[0].path, "valid", None)
        super().__init__(cause.field, cause.bound, cause.value)
        self.problems = tuple(problems)
        self.args = ("; ".join(map(str, problems)),)


@dataclass(frozen=True, slots=True)
class _Limits:
    """Bounds of a number, None for no bound."""

    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None

    def check(self, number: float) -> float:
        is_low = (self.above is not None and number <= self.above) or (
            self.at_least is not None and number < self.at_least
        )
        is_high = (self.below is not None and number >= self.below) or (
            self.at_most is not None and number > self.at_most
        )
        if is_low or is_high:
            raise ValueError
        return number

    def describe(self, what: str, unit: str) -> str:
        sides = (("> ", self.above), (">= ", self.at_least), ("< ", self.below), ("<= ", self.at_most))
        limits = " and ".join(f"{sign}{limit:.12g}" for sign, limit in sides if limit is not None)
        return what + (f" {limits}" if limits else "") + (f" [{unit}]" if unit else "")


class OptionReader:
    """Reads options by key, and remembers what was asked for and what was wrong.

    Every getter returns the default where the key is absent or holds nothing (None), and where its value is refused:
    then `finish` raises. ``is_required=True`` makes absence a problem; the default stands in until `finish`.

    Parameters
    ----------
    options
        Plain values by key: numbers, text, truth values, lists, mappings, None.
    where
        Path of the options, for messages.
    """

    def __init__(self, options: Mapping[str, object], where: str = "policy_options") -> None:
        self._options, self._where = options, where
        self._known: list[str] = []
        self._children: list[OptionReader] = []
        self._problems: list[OptionProblem] = []
        self._first: InvalidInput | None = None

    @property
    def where(self) -> str:
        """Path of the options."""
        return self._where

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that are there, in their order."""
        return tuple(str(key) for key in self._options)

    def has(self, key: str) -> bool:
        """Whether `key` holds something; it counts as known from now on."""
        self._note(key)
        return self._options.get(key) is not None

    def peek(self, key: str) -> object:
        """Return what `key` holds as it stands, None where it is absent: for an option that may have several shapes."""
        return self._options.get(key)

    def number(
        self,
        key: str,
        default: N,
        *,
        above: float | None = None,
        at_least: float | None = None,
        below: float | None = None,
        at_most: float | None = None,
        unit: str = "",
        is_required: bool = False,
    ) -> float | N:
        """Return a finite number within the bounds; `unit` is for the message, such as ``1/s``."""
        limits = _Limits(above, at_least, below, at_most)

        def parse(value: object) -> float:
            return limits.check(_parse_number(value))

        return self._read(key, default, parse, limits.describe("a number", unit), is_required)

    def duration_s(
        self,
        key: str,
        default: N,
        *,
        above: float | None = None,
        at_least: float | None = 0.0,
        at_most: float | None = None,
        is_required: bool = False,
    ) -> float | N:
        """Return a duration within the bounds [s], from text such as ``1m30s`` or a number of seconds."""
        limits = _Limits(above, None if above is not None else at_least, None, at_most)

        def parse(value: object) -> float:
            return limits.check(_parse_duration_s(value))

        return self._read(key, default, parse, limits.describe(_DURATION_BOUND, "s"), is_required)

    def count(
        self,
        key: str,
        default: C,
        *,
        at_least: int = 0,
        at_most: int | None = None,
        unit: str = "",
        is_required: bool = False,
    ) -> int | C:
        """Return a whole number within the bounds."""
        limits = _Limits(None, at_least, None, at_most)

        def parse(value: object) -> int:
            number = limits.check(_parse_number(value))
            if not number.is_integer():
                raise ValueError
            return int(number)

        return self._read(key, default, parse, limits.describe("a whole number", unit), is_required)

    def flag(self, key: str, default: bool) -> bool:
        """Return a truth value."""

        def parse(value: object) -> bool:
            if not isinstance(value, bool):
                raise ValueError
            return value

        return self._read(key, default, parse, "true or false", False)

    def text(self, key: str, default: T, *, one_of: Iterable[str] = (), is_required: bool = False) -> str | T:
        """Return a text that is not empty; one of `one_of` if any are given."""
        allowed = tuple(one_of)

        def parse(value: object) -> str:
            if not isinstance(value, str) or not value.strip() or (allowed and value not in allowed):
                raise ValueError
            return value

        bound = f"one of {', '.join(allowed)}" if allowed else "a text"
        return self._read(key, default, parse, bound, is_required)

    def choice(self, key: str, default: E) -> E:
        """Return one member of the enumeration that `default` belongs to, named by its value."""
        members = type(default)

        def parse(value: object) -> E:
            return members(value) if isinstance(value, str) else members("")

        return self._read(key, default, parse, f"one of {', '.join(members)}", False)

    def texts(self, key: str, default: Sequence[str] = (), *, is_required: bool = False) -> tuple[str, ...]:
        """Return a list of texts, none of them empty."""

        def parse(value: object) -> tuple[str, ...]:
            if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) and item for item in value):
                raise ValueError
            return tuple(value)

        return self._read(key, tuple(default), parse, "a list of texts", is_required)

    def mapping(self, key: str, *, is_required: bool = False) -> OptionReader:
        """Return a reader of the mapping at `key`, empty where there is none; `finish` of this one finishes it too."""
        found = self._read(key, _NOTHING, _parse_mapping, "a mapping", is_required)
        return self._open(found, _join(self._where, key))

    def mappings(self, key: str, *, is_required: bool = False) -> tuple[OptionReader, ...]:
        """Return a reader of every mapping in the list at `key`; what is no mapping is refused with its index."""
        items = self._read(key, _NO_ITEMS, _parse_list, "a list of mappings", is_required)
        path, readers = _join(self._where, key), []
        for index, item in enumerate(items):
            if isinstance(item, Mapping):
                readers.append(self._open(item, f"{path}[{index}]"))
            else:
                self.refuse(f"{key}[{index}]", "a mapping", item)
        return tuple(readers)

    def refuse(self, key: str, bound: str, value: object) -> None:
        """Note that the value at `key`, such as ``metrics[0].name``, is not within `bound`: for rules across options.

        An empty `key` means the options as a whole.
        """
        path = _join(self._where, key)
        problem = InvalidInput(path, bound, value)
        self._first = self._first or problem
        self._problems.append(OptionProblem(path, f"must be {bound}, got {_render(value)}"))

    def finish(self) -> None:
        """Check that nothing was wrong, here and in every reader opened from here, and that every key is known.

        Raises
        ------
        InvalidOptions
            When something was: it names everything.
        """
        problems, first = self._gather()
        if problems:
            raise InvalidOptions(problems, first)

    def _gather(self) -> tuple[list[OptionProblem], InvalidInput | None]:
        problems, first = list(self._problems), self._first
        for key in self.keys:
            if key not in self._known:
                path = _join(self._where, key)
                problems.append(OptionProblem(path, f"is not known{_suggest(key, self._known)}"))
                first = first or InvalidInput(path, f"a known option{_suggest(key, self._known)}", self._options[key])
        for child in self._children:
            below, first_below = child._gather()
            problems, first = [*problems, *below], first or first_below
        return problems, first

    def _read(self, key: str, default: V, parse: Callable[[object], V], bound: str, is_required: bool) -> V:
        self._note(key)
        value = self._options.get(key)
        if value is None:
            if is_required:
                path = _join(self._where, key)
                self._first = self._first or InvalidInput(path, bound, None)
                self._problems.append(OptionProblem(path, f"is missing: must be {bound}"))
            return default
        try:
            return parse(value)
        except ValueError:
            self.refuse(key, bound, value)
            return default

    def _open(self, options: Mapping[str, object], where: str) -> OptionReader:
        child = OptionReader(options, where)
        self._children.append(child)
        return child

    def _note(self, key: str) -> None:
        if key not in self._known:
            self._known.append(key)


def _parse_number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError
    return float(value)


def _parse_duration_s(value: object) -> float:
    if not isinstance(value, str):
        return _parse_number(value)
    parts = _DURATION_PART.findall(value.strip())
    if not parts or "".join(number + unit for number, unit in parts) != value.strip():
        raise ValueError
    return math.fsum(float(number) * _SECONDS[unit] for number, unit in parts)


def _parse_mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ValueError
    return value


def _parse_list(value: object) -> Sequence[object]:
    if not isinstance(value, (list, tuple)):
        raise ValueError
    return value


def _join(where: str, key: str) -> str:
    if not key:
        return where
    if _PLAIN_KEY.fullmatch(re.split(r"[\[.]", key)[0]):
        return f"{where}.{key}" if where else key
    return f'{where}["{key}"]'


def _suggest(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; known are {', '.join(sorted(known))}" if known else ""


def _render(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
