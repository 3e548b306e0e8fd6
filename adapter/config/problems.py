"""What is wrong with a configuration: paths, messages and the collection of all of them. Pure; knows no field."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: `path` such as ``models[0].name``, "" for the whole file, and what to know about it."""

    path: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        """Return the line a person reads."""
        where = "" if self.line is None else f" (line {self.line})"
        return f"{self.path or 'the file'} {self.message}{where}"


@dataclass(slots=True)
class Findings:
    """Collects problems while a configuration is decoded.

    Attributes
    ----------
    problems
        In the order found.
    broken
        Paths whose value could not be read, so that rules about them have nothing to say.
    """

    problems: list[Problem] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def report(self, path: str, message: str) -> None:
        """Note a problem whose value is readable all the same, such as an unknown key."""
        self.problems.append(Problem(path, message))

    def refuse(self, path: str, bound: str, value: object, hint: str = "") -> None:
        """Note that the value at `path` is not within `bound`, and so is not used."""
        self.report(path, f"must be {bound}, got {render_value(value)}{hint}")
        self.broken.append(path)

    def miss(self, path: str, meaning: str) -> None:
        """Note that a required value is not there."""
        self.report(path, f"is missing: {meaning}")
        self.broken.append(path)

    def is_sound(self, path: str) -> bool:
        """Whether the value at `path`, and everything in it, could be read; ``[*]`` means every item of a list."""
        return not any(
            _is_within(broken, known) or _is_within(known, broken)
            for broken in self.broken
            for known in [_fill_in(path, broken)]
        )


def join_key(path: str, key: str) -> str:
    """Return the path of `key` within `path`; a key of other characters is quoted."""
    if not _PLAIN_KEY.fullmatch(key):
        return f'{path}["{key}"]'
    return f"{path}.{key}" if path else key


def join_index(path: str, index: int) -> str:
    """Return the path of item `index` of the list at `path`."""
    return f"{path}[{index}]"


def join_path(path: str, relative: str) -> str:
    """Return the path of `relative` within `path`."""
    if not path or not relative or relative.startswith("["):
        return path + relative
    return f"{path}.{relative}"


def suggest(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean …?`` with the nearest of `known`; their list when none is near, "" without any."""
    names = list(known)
    folded = {_fold(candidate): candidate for candidate in names}
    near = difflib.get_close_matches(_fold(name), list(folded), n=1, cutoff=0.6)
    if near:
        return f"; did you mean {folded[near[0]]}?"
    return f"; known are {', '.join(sorted(names)[:12])}" if names else ""


def render_value(value: object) -> str:
    """Return a value as the file would show it, cut when long."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) and value.isprintable() and value.strip() else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _fold(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _fill_in(path: str, example: str) -> str:
    """Return `path` with every ``[*]`` as in `example`, as far as that goes."""
    before, star, after = path.partition("[*]")
    item = re.match(r"\[\d+\]", example[len(before) :]) if star and example.startswith(before) else None
    return path if item is None else _fill_in(before + item[0] + after, example)


def _is_within(inner: str, outer: str) -> bool:
    return outer in (inner, "") or inner.startswith((f"{outer}.", f"{outer}["))
