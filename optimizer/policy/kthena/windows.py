"""Sliding windows of replica counts: points, lines between them, and snapshots. Immutable; time is an argument.

A value of age a is fresh while ``a <= length``; a window of length 0 is switched off and answers nothing.

Source
------
Kthena's autoscaler at 3cc057284c34 (2026-08-21), sliding windows; every quirk kept:

* a line's value that is replaced enters the window stamped with the time of its replacement, not of its beginning;
* the newest value of a line stands for twice the length of the window, then for nothing;
* the present value always competes in a line window, even when nothing was ever recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Generic, TypeVar

T = TypeVar("T")

Stamped = tuple[float, int]
"""When a count was recorded [s], and the count."""


class Best(StrEnum):
    """Which value of a window is its answer."""

    HIGHEST = "highest"
    LOWEST = "lowest"

    def is_better(self, one: int, other: int) -> bool:
        """Return whether `one` beats `other`."""
        return one > other if self is Best.HIGHEST else one < other


@dataclass(frozen=True, slots=True)
class RecordWindow:
    """The best of the values recorded within the window.

    Attributes
    ----------
    best
        Which one that is.
    length_s
        How long a value counts [s].
    kept
        The values that may still be an answer, oldest and best first: never more than distinct values.
    """

    best: Best
    length_s: float
    kept: tuple[Stamped, ...] = ()

    def append(self, value: int, now_s: float) -> RecordWindow:
        """Return the window with `value` recorded at `now_s` [s]."""
        kept = [entry for entry in self._list_fresh(now_s) if self.best.is_better(entry[1], value)]
        return replace(self, kept=(*kept, (now_s, value)))

    def query(self, now_s: float) -> int | None:
        """Return the best value at `now_s` [s], None when there is none or the window is switched off."""
        fresh = self._list_fresh(now_s)
        return fresh[0][1] if fresh and self.length_s > 0.0 else None

    def _list_fresh(self, now_s: float) -> tuple[Stamped, ...]:
        return tuple(entry for entry in self.kept if entry[0] + self.length_s >= now_s)


@dataclass(frozen=True, slots=True)
class LineWindow:
    """The best of a line that keeps its value until the next one.

    Attributes
    ----------
    past
        Values that were replaced, at the time of their replacement.
    newest
        The value that holds now.
    """

    past: RecordWindow
    newest: Stamped | None = None

    def append(self, value: int, now_s: float) -> LineWindow:
        """Return the window whose line has `value` from `now_s` [s] on."""
        newest = self._find_newest(now_s)
        past = self.past if newest is None else self.past.append(newest[1], now_s)
        return LineWindow(past, (now_s, value))

    def query(self, current: int, now_s: float) -> int | None:
        """Return the best of `current` and the line at `now_s` [s], None when the window is switched off."""
        if self.past.length_s <= 0.0:
            return None
        newest = self._find_newest(now_s)
        best, found = self.past.best, current
        for value in (None if newest is None else newest[1], self.past.query(now_s)):
            if value is not None and best.is_better(value, found):
                found = value
        return found

    def _find_newest(self, now_s: float) -> Stamped | None:
        if self.newest is None or self.newest[0] + 2.0 * self.past.length_s < now_s:
            return None
        return self.newest


@dataclass(frozen=True)
class SnapshotWindow(Generic[T]):
    """What was seen longest ago within reason: the newest snapshot older than the window.

    Attributes
    ----------
    length_s, keep_s
        What is younger than the one is not given out, what is older than the other is dropped [s].
    kept
        Snapshots, oldest first.
    """

    length_s: float
    keep_s: float
    kept: tuple[tuple[float, T], ...] = ()

    def append(self, snapshot: T, now_s: float) -> SnapshotWindow[T]:
        """Return the window with `snapshot` taken at `now_s` [s]."""
        return replace(self, kept=(*self._list_kept(now_s), (now_s, snapshot)))

    def query(self, now_s: float) -> T | None:
        """Return the newest snapshot older than the window at `now_s` [s], None when there is none."""
        old = [entry for entry in self._list_kept(now_s) if entry[0] + self.length_s < now_s]
        return old[-1][1] if old and self.length_s > 0.0 else None

    def _list_kept(self, now_s: float) -> tuple[tuple[float, T], ...]:
        kept = [entry for entry in self.kept if entry[0] + self.keep_s >= now_s]
        old = sum(entry[0] + self.length_s < now_s for entry in kept)
        return tuple(kept[max(old - 1, 0) :])


def record_to_plain(window: RecordWindow) -> dict[str, Any]:
    """Return `window` as plain values."""
    return {"length_s": window.length_s, "kept": [list(entry) for entry in window.kept]}


def record_from_plain(plain: object, empty: RecordWindow) -> RecordWindow:
    """Return the window that `plain` tells of, `empty` when it tells of none of that length."""
    if not isinstance(plain, Mapping) or plain.get("length_s") != empty.length_s:
        return empty
    kept = plain.get("kept")
    if not isinstance(kept, list):
        return empty
    entries = [_read_stamped(entry) for entry in kept]
    return replace(empty, kept=tuple(entry for entry in entries if entry is not None))


def line_to_plain(window: LineWindow) -> dict[str, Any]:
    """Return `window` as plain values."""
    newest = None if window.newest is None else list(window.newest)
    return {**record_to_plain(window.past), "newest": newest}


def line_from_plain(plain: object, empty: LineWindow) -> LineWindow:
    """Return the window that `plain` tells of, `empty` when it tells of none of that length."""
    past = record_from_plain(plain, empty.past)
    if not isinstance(plain, Mapping) or plain.get("length_s") != empty.past.length_s:
        return empty
    return LineWindow(past, _read_stamped(plain.get("newest")))


def _read_stamped(entry: object) -> Stamped | None:
    if not isinstance(entry, (list, tuple)) or len(entry) != 2:
        return None
    time_s, value = entry
    if isinstance(time_s, bool) or not isinstance(time_s, (int, float)) or not isinstance(value, int):
        return None
    return float(time_s), value
