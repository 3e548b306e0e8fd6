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

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

from optimizer.errors import InvalidInput
from optimizer.policy.option_problems import (
    InvalidOptions,
    OptionProblem,
    join_option,
    render_option,
    suggest_option,
)
from optimizer.policy.option_values import Limits, parse_duration_s, parse_list, parse_mapping, parse_number

N = TypeVar("N", float, float | None)
C = TypeVar("C", int, int | None)
T = TypeVar("T", str, str | None)
E = TypeVar("E", bound=StrEnum)
V = TypeVar("V")

_DURATION_BOUND = "a duration, such as 30s, 1m30s or a number of seconds"
_NOTHING: Mapping[str, object] = {}
_NO_ITEMS: Sequence[object] = ()


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
        limits = Limits(above, at_least, below, at_most)

        def parse(value: object) -> float:
            return limits.check(parse_number(value))

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
        limits = Limits(above, None if above is not None else at_least, None, at_most)

        def parse(value: object) -> float:
            return limits.check(parse_duration_s(value))

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
        limits = Limits(None, at_least, None, at_most)

        def parse(value: object) -> int:
            number = limits.check(parse_number(value))
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
        found = self._read(key, _NOTHING, parse_mapping, "a mapping", is_required)
        return self._open(found, join_option(self._where, key))

    def mappings(self, key: str, *, is_required: bool = False) -> tuple[OptionReader, ...]:
        """Return a reader of every mapping in the list at `key`; what is no mapping is refused with its index."""
        items = self._read(key, _NO_ITEMS, parse_list, "a list of mappings", is_required)
        path, readers = join_option(self._where, key), []
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
        self._note_problem(join_option(self._where, key), bound, value)

    def refuse_model(self, path: str, bound: str, value: object) -> None:
        """Note that a value of the LLM itself, such as ``variants[1].max_replicas``, is not within `bound`."""
        self._note_problem(path, bound, value)

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

    def _note_problem(self, path: str, bound: str, value: object) -> None:
        self._first = self._first or InvalidInput(path, bound, value)
        self._problems.append(OptionProblem(path, f"must be {bound}, got {render_option(value)}"))

    def _gather(self) -> tuple[list[OptionProblem], InvalidInput | None]:
        problems, first = list(self._problems), self._first
        for key in self.keys:
            if key not in self._known:
                path, hint = join_option(self._where, key), suggest_option(key, self._known)
                problems.append(OptionProblem(path, f"is not known{hint}"))
                first = first or InvalidInput(path, f"a known option{hint}", self._options[key])
        for child in self._children:
            below, first_below = child._gather()
            problems, first = [*problems, *below], first or first_below
        return problems, first

    def _read(self, key: str, default: V, parse: Callable[[object], V], bound: str, is_required: bool) -> V:
        self._note(key)
        value = self._options.get(key)
        if value is None:
            if is_required:
                path = join_option(self._where, key)
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
