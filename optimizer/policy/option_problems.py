"""What is wrong with options: paths, messages, and the refusal that names everything. It reads no option."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from optimizer.errors import InvalidInput

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


def join_option(where: str, key: str) -> str:
    """Return the path of `key` within `where`; a key of other characters is quoted, an empty one is the whole."""
    if not key:
        return where
    if _PLAIN_KEY.fullmatch(re.split(r"[\[.]", key)[0]):
        return f"{where}.{key}" if where else key
    return f'{where}["{key}"]'


def suggest_option(key: str, known: Sequence[str]) -> str:
    """Return ``; did you mean …?`` with the nearest of `known`; their list when none is near, "" without any."""
    near = find_near(key, known)
    if near is not None:
        return f"; did you mean {near}?"
    return f"; known are {', '.join(sorted(known))}" if known else ""


def find_near(key: str, known: Sequence[str]) -> str | None:
    """Return the one of `known` that is written most like `key`, None where none is near."""
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    return near[0] if near else None


def render_option(value: object) -> str:
    """Return a value as a message shows it, cut when long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
