"""The cheapest whole numbers that cover every row: branch and bound in exact integers. It knows nothing of LLMs.

    minimize    sum_v W_v(y_v)            W_v convex with one bend, whole weights
    subject to  sum_v g_vj * min(y_v, m_vj) >= n_j      for every row j
                sum_v u_vl * y_v <= a_l                 for every cap l
                least_v <= y_v <= most_v, whole

Columns are fixed one after another, each at the numbers whose bound is lowest first. The bound of what is left is the
relaxation of the hardest row alone: with real numbers the cheapest pieces are taken in order of weight per gain, so
one table a row and suffix of columns answers it by bisection. Bounds are rounded up, for weights are whole. As a
function of one column's number the bound has a single valley: once it reaches what is known, all beyond is done with.

Columns that give and use alike are exchanged one for one until neither way is lighter: all other shares are left out.

Everything is counted in Python's whole numbers: no tolerance, no rounding, the same answer on every machine. Weights
may carry several wishes as digits of one number: the order among equals is exact then, and the search short.

Source: branch and bound for the knapsack (Kolesar 1967; Martello and Toth, Knapsack Problems, 1990, chapter 3); the
bend, the rows and the valley: derived above.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from optimizer.solver.column import Column, Row, find_cheapest, list_pieces


@dataclass(frozen=True, slots=True)
class Cover:
    """The answer.

    Attributes
    ----------
    counts
        The best numbers found, by column; None where none were.
    weight
        What they weigh together, without that of none.
    is_proven
        Whether nothing better can exist.
    nodes
        Numbers that were tried.
    """

    counts: tuple[int, ...] | None
    weight: int
    is_proven: bool
    nodes: int


def cover(
    columns: Sequence[Column],
    needs: Sequence[int],
    amounts: Sequence[int],
    *,
    most_nodes: int,
    below: int | None = None,
) -> Cover:
    """Return the numbers of least weight.

    Parameters
    ----------
    columns
        The numbers to choose.
    needs
        What every row must reach.
    amounts
        What every cap leaves.
    most_nodes
        After so many numbers the search stops, and what it found is not proven.
    below
        Only what weighs less is looked for; None for anything.
    """
    columns, needs, order = _arrange(columns, needs)
    search = _Search(columns, tuple(amounts), most_nodes, best_weight=below)
    search.descend(0, 0, needs, tuple(amounts))
    if search.best is None:
        return Cover(None, 0, not search.is_cut, search.nodes)
    assert search.best_weight is not None
    return Cover(_restore(search.best, order), search.best_weight, not search.is_cut, search.nodes)


def list_covers(
    columns: Sequence[Column], needs: Sequence[int], amounts: Sequence[int], *, most_weight: int, most_nodes: int
) -> list[tuple[int, ...]] | None:
    """Return all numbers that weigh at most `most_weight`; of those that use alike, only what no exchange betters.

    None where that takes more than `most_nodes` numbers. The other parameters are those of `cover`.
    """
    columns, needs, order = _arrange(columns, needs)
    search = _Listing(columns, tuple(amounts), most_nodes, best_weight=most_weight + 1)
    search.descend(0, 0, needs, tuple(amounts))
    return None if search.is_cut else [_restore(counts, order) for _, counts in search.found]


def _arrange(columns: Sequence[Column], needs: Sequence[int]) -> tuple[list[Column], tuple[int, ...], list[int]]:
    """Return the columns in the order in which they are fixed, without easy rows; the needs left; and that order."""
    rows = _list_hard_rows(columns, needs)
    needs = tuple(needs[row] for row in rows)
    columns = [replace(column, gains=tuple(column.gains[row] for row in rows)) for column in columns]
    order = sorted(range(len(columns)), key=lambda index: _rate(columns[index], needs))
    return [columns[index] for index in order], needs, order


def _restore(counts: Sequence[int], order: Sequence[int]) -> tuple[int, ...]:
    restored = [0] * len(order)
    for index, count in zip(order, counts, strict=True):
        restored[index] = count
    return tuple(restored)


def _list_hard_rows(columns: Sequence[Column], needs: Sequence[int]) -> list[int]:
    """Return the rows that no other one keeps by itself: of those that are given alike, the highest need."""
    rows = sorted(range(len(needs)), key=lambda row: needs[row], reverse=True)
    hard: list[int] = []
    for row in rows:
        if needs[row] > 0 and not any(_is_easier(columns, row, other) for other in hard):
            hard.append(row)
    return sorted(hard)


def _is_easier(columns: Sequence[Column], row: int, other: int) -> bool:
    """Whether every column gives to `row` at least what it gives to `other`, in gain and in number."""
    return all(
        column.gains[row][0] >= column.gains[other][0]
        and (column.gains[row][1] >= min(column.gains[other][1], column.most))
        for column in columns
    )


def _rate(column: Column, needs: Sequence[int]) -> tuple[bool, Fraction]:
    """Return weight per share of the needs that one gives: the lower, the sooner it is fixed; useless ones last."""
    shares = [Fraction(gain, need) for (gain, _), need in zip(column.gains, needs, strict=True) if need > 0]
    share = max(shares, default=Fraction(0))
    return (False, column.weight_above / share) if share else (True, Fraction(column.weight_above))


@dataclass(slots=True)
class _Search:
    columns: Sequence[Column]
    amounts: tuple[int, ...]
    most_nodes: int
    best: tuple[int, ...] | None = None
    best_weight: int | None = None
    nodes: int = 0
    is_cut: bool = False
    _rows: list[tuple[Row, ...]] = field(default_factory=list)
    _cheapest: list[int] = field(default_factory=list)
    _least_uses: list[tuple[int, ...]] = field(default_factory=list)
    _chosen: list[int] = field(default_factory=list)
    _alike: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        rows = len(self.columns[0].gains) if self.columns else 0
        self._alike = [
            [earlier for earlier in range(place) if self.columns[earlier].is_like(column)]
            for place, column in enumerate(self.columns)
        ]
        pieces = [list_pieces(self.columns, row) for row in range(rows)]
        for start in range(len(self.columns) + 1):
            rest = self.columns[start:]
            self._rows.append(tuple(Row(self.columns, pieces[row], row, start) for row in range(rows)))
            self._cheapest.append(sum(column.weigh(find_cheapest(column)) for column in rest))
            self._least_uses.append(tuple(sum(c.uses[cap] * c.least for c in rest) for cap in range(len(self.amounts))))

    def descend(self, place: int, weight: int, needs: tuple[int, ...], left: tuple[int, ...]) -> None:
        """Try the numbers of column `place` and of all after it."""
        if place == len(self.columns):
            if all(need <= 0 for need in needs) and (self.best_weight is None or weight < self.best_weight):
                self._take(weight)
            return
        column = self.columns[place]
        low, top = self._exchange(place, self._find_top(place, left))
        for bound, count in self._iterate(place, weight, needs, low, top):
            if self.best_weight is not None and bound >= self.best_weight:
                return
            if self.nodes >= self.most_nodes:
                self.is_cut = True
                return
            self.nodes += 1
            self._chosen.append(count)
            rest = tuple(need - gain * min(count, most) for need, (gain, most) in zip(needs, column.gains, strict=True))
            spare = tuple(amount - use * count for amount, use in zip(left, column.uses, strict=True)) if left else left
            self.descend(place + 1, weight + column.weigh(count), rest, spare)
            self._chosen.pop()

    def _take(self, weight: int) -> None:
        self.best, self.best_weight = tuple(self._chosen), weight

    def _find_top(self, place: int, left: tuple[int, ...]) -> int:
        """Return the highest number that the caps leave room for, below the least where there is none."""
        column, top = self.columns[place], self.columns[place].most
        for amount, use, later in zip(left, column.uses, self._least_uses[place + 1], strict=True):
            if amount - later < 0:
                return column.least - 1
            if use > 0:
                top = min(top, (amount - later) // use)
        return top

    def _exchange(self, place: int, top: int) -> tuple[int, int]:
        """Return the numbers, up to `top`, between which no exchange with a column already chosen is lighter."""
        column = self.columns[place]
        low = column.least
        for earlier in self._alike[place]:
            other, count = self.columns[earlier], self._chosen[earlier]
            if count < min(other.most, other.counted):
                more = other.get_step_weight(count + 1)
                if column.weight_below > more:
                    top = min(top, column.least)
                elif column.weight_above > more:
                    top = min(top, max(column.least, column.bend))
            if count > other.least:
                less = other.get_step_weight(count)
                highest = min(top, column.counted)
                if column.weight_above < less:
                    low = max(low, highest)
                elif column.weight_below < less:
                    low = max(low, min(highest, column.bend))
        return low, top

    def _bound(self, place: int, weight: int, needs: tuple[int, ...], count: int) -> int | None:
        """Return the bound with `count` of column `place`."""
        column = self.columns[place]
        hardest = 0
        for need, (gain, most), row in zip(needs, column.gains, self._rows[place + 1], strict=True):
            more = row.get_weight(need - gain * (count if count < most else most))
            if more is None:
                return None
            hardest = max(hardest, more)
        return weight + column.weigh(count) + self._cheapest[place + 1] + hardest

    def _iterate(
        self, place: int, weight: int, needs: tuple[int, ...], low: int, top: int
    ) -> Iterator[tuple[int, int]]:
        """Yield bound and number between `low` and `top`, the lowest bound first."""
        high = top
        if high < low:
            return
        floor = low
        while low < high:  # down into the valley
            middle = (low + high) // 2
            here, next_ = self._bound(place, weight, needs, middle), self._bound(place, weight, needs, middle + 1)
            if here is None or (next_ is not None and here > next_):
                low = middle + 1
            else:
                high = middle
        start = self._bound(place, weight, needs, low)
        if start is None:
            return
        yield start, low
        under, over = low - 1, low + 1
        below = self._bound(place, weight, needs, under) if under >= floor else None
        above = self._bound(place, weight, needs, over) if over <= top else None
        while below is not None or above is not None:
            if above is None or (below is not None and below <= above):
                assert below is not None
                yield below, under
                under -= 1
                below = self._bound(place, weight, needs, under) if under >= floor else None
            else:
                yield above, over
                over += 1
                above = self._bound(place, weight, needs, over) if over <= top else None


@dataclass(slots=True)
class _Listing(_Search):
    """A search that keeps all it finds below a weight that does not fall."""

    found: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)

    def _take(self, weight: int) -> None:
        self.found.append((weight, tuple(self._chosen)))
