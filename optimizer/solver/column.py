"""One whole number to choose: its weight, what it gives to rows and uses of caps; what several give at least weight.

Data and the relaxation of one row; the search is elsewhere.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cmp_to_key


@dataclass(frozen=True, slots=True)
class Column:
    """One number to choose.

    Attributes
    ----------
    least, most
        Its bounds, ``0 <= least <= most``.
    bend
        Where the weight of one more changes.
    weight_below, weight_above
        Weight of one more up to `bend`, and beyond; the second is not lower.
    gains
        For every row what one gives, >= 0, and how many count at most.
    uses
        For every cap what one uses, >= 0.
    """

    least: int
    most: int
    bend: int
    weight_below: int
    weight_above: int
    gains: tuple[tuple[int, int], ...]
    uses: tuple[int, ...] = ()

    @property
    def counted(self) -> int:
        """The highest number that counts in every row to which the column gives anything."""
        return min((most for gain, most in self.gains if gain), default=self.most)

    def is_like(self, other: Column) -> bool:
        """Whether one of this gives and uses what one of `other` does."""
        return self.uses == other.uses and all(a[0] == b[0] for a, b in zip(self.gains, other.gains, strict=True))

    def get_step_weight(self, number: int) -> int:
        """Return the weight of the one with this number, counted from 1."""
        return self.weight_below if number <= self.bend else self.weight_above

    def weigh(self, count: int) -> int:
        """Return the weight of `count`, without that of none."""
        if count <= self.bend:
            return self.weight_below * count
        return self.weight_below * self.bend + self.weight_above * (count - self.bend)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of what a column may add beyond its cheapest number: `count` of one `gain` and one `weight` each."""

    column: int
    gain: int
    weight: int
    count: int


def list_pieces(columns: Sequence[Column], row: int) -> list[Piece]:
    """Return what all columns may add to `row`, the least weight per gain first."""
    pieces = [
        Piece(index, column.gains[row][0], weight, count)
        for index, column in enumerate(columns)
        if column.gains[row][0]
        for weight, count in _list_parts(column, column.gains[row][1])
    ]
    return sorted(pieces, key=cmp_to_key(_compare_rates))


def _compare_rates(one: Piece, other: Piece) -> int:
    """Return a number whose sign is that of the difference of weight per gain."""
    return one.weight * other.gain - other.weight * one.gain


class Row:
    """The least weight of the columns from `start` on by what they must give to a row, in real numbers.

    `weights[i]` buys `totals[i]`; the next piece gives `gains[i]` for `prices[i]` each.
    """

    __slots__ = ("base", "gains", "prices", "totals", "weights")

    def __init__(self, columns: Sequence[Column], pieces: Iterable[Piece], row: int, start: int) -> None:
        self.base = sum(
            column.gains[row][0] * min(find_cheapest(column), column.gains[row][1]) for column in columns[start:]
        )
        self.totals, self.weights = [0], [0]
        self.gains: list[int] = []
        self.prices: list[int] = []
        for piece in pieces:
            if piece.column >= start:
                self.gains.append(piece.gain)
                self.prices.append(piece.weight)
                self.totals.append(self.totals[-1] + piece.gain * piece.count)
                self.weights.append(self.weights[-1] + piece.weight * piece.count)

    def get_weight(self, need: int) -> int | None:
        """Return the least weight beyond the cheapest numbers, rounded up; None where all together give too little."""
        missing = need - self.base
        if missing <= 0:
            return 0
        place = bisect_left(self.totals, missing)
        if place == len(self.totals):
            return None
        left = missing - self.totals[place - 1]
        return self.weights[place - 1] - (-left * self.prices[place - 1] // self.gains[place - 1])


def find_cheapest(column: Column) -> int:
    """Return the number of least weight within the bounds, the lowest of several."""
    if column.weight_below >= 0:
        return column.least
    if column.weight_above >= 0:
        return min(max(column.bend, column.least), column.most)
    return column.most


def _list_parts(column: Column, most: int) -> Iterator[tuple[int, int]]:
    """Yield weight of one and number of what may be added to the cheapest number and counts, up to `most`."""
    cheapest, top = find_cheapest(column), min(column.most, most)
    low = max(min(column.bend, top) - cheapest, 0)
    if low > 0:
        yield column.weight_below, low
    if top - cheapest - low > 0:
        yield column.weight_above, top - cheapest - low
