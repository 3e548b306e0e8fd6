"""One whole number to choose: its weight, what it gives to rows and uses of caps; what several give at least weight.

Data and the relaxation of one row; the search is elsewhere.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction


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
    uses: tuple[Fraction, ...] = ()

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


class Row:
    """The least weight of a suffix of columns by what it must give, in real numbers.

    `weights[i]` buys `totals[i]`; the next piece gives `gains[i]` for `prices[i]` each.
    """

    __slots__ = ("base", "gains", "prices", "totals", "weights")

    def __init__(self, columns: Sequence[Column], row: int) -> None:
        pieces: list[tuple[int, int, int]] = []  # weight of one, gain of one, how many
        self.base = 0
        for column in columns:
            gain, most = column.gains[row]
            cheapest = find_cheapest(column)
            self.base += gain * min(cheapest, most)
            if gain:
                pieces.extend((weight, gain, count) for weight, count in _list_pieces(column, cheapest, most))
        pieces.sort(key=lambda piece: Fraction(piece[0], piece[1]))
        self.totals, self.weights = [0], [0]
        self.gains, self.prices = [gain for _, gain, _ in pieces], [weight for weight, _, _ in pieces]
        for weight, gain, count in pieces:
            self.totals.append(self.totals[-1] + gain * count)
            self.weights.append(self.weights[-1] + weight * count)

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


def _list_pieces(column: Column, cheapest: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield weight of one and number of the pieces above `cheapest` that count up to `most`."""
    top = min(column.most, most)
    low = min(max(min(column.bend, top) - cheapest, 0), max(top - cheapest, 0))
    if low > 0:
        yield column.weight_below, low
    if top - cheapest - low > 0:
        yield column.weight_above, top - cheapest - low
