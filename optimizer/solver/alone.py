"""The plan of one LLM that nothing joins to others, exactly: its problem as columns and rows, digits for the wishes.

Least cost, then fewest moves, then most spare capacity, then more of the variant whose name comes first: each wish is a
digit of one whole number that is minimized, so that a higher wish is never given up for a lower one.

    weighted   one search: sum_v mu_v * a_vj >= n_j
    uniform    one search per level c, over variants with mu_v >= c: sum_v a_vj >= n_j / c
    fixed      the counts wanted are lower bounds

It knows no shortage: where the need cannot be met whole, it says so, and others decide who goes short.

Source: derived; the search is `cover`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from optimizer.domain import Limit, Routing
from optimizer.solver.column import Column
from optimizer.solver.covering import cover
from optimizer.solver.formulation import (
    ROUNDING_RATIO,
    find_most_replicas,
    get_early_replicas,
    get_wanted,
    is_in_scope,
    to_units,
)
from optimizer.solver.problem import ModelProblem, VariantLine

Counts = tuple[int, ...]

_MOST_NODES = 5_000
_SCALE_BITS = 50  # of the highest need: far below what is rounded off it
_SPARE_PARTS = 10**6  # of the highest capacity: what differs by less is equally spare
_TOLERANCE = Fraction(1, 10**6)
_ALL = 10**9  # of a variant whose new replicas serve in time


@dataclass(frozen=True, slots=True)
class Search:
    """One way to cover the need: the bounds and gains of its columns, and what the rows must reach."""

    columns: tuple[Column, ...]
    needs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """What was found.

    Attributes
    ----------
    counts
        Replicas by line; None where no counts meet the whole need within bounds and limits.
    is_proven
        Whether that is certain; otherwise the search was too long.
    nodes
        Numbers that were tried.
    """

    counts: Counts | None
    is_proven: bool
    nodes: int


def choose_counts(problem: ModelProblem, limits: Iterable[Limit]) -> Choice:
    """Return the best replicas for the whole need of `problem` under `limits`."""
    limits = _list_known(problem, limits)
    return _choose(list_searches(problem, limits), _list_amounts(problem, limits))


def choose_other_counts(problem: ModelProblem, limits: Iterable[Limit], used: Sequence[bool]) -> Choice:
    """Return the best replicas among those that use another set of variants than `used`, by line.

    Only variants with a capacity count, and only where there is a choice.
    """
    limits = _list_known(problem, limits)
    searches = [
        replace(search, columns=(*search.columns[:index], changed, *search.columns[index + 1 :]))
        for search in list_searches(problem, limits)
        for index, (line, column) in enumerate(zip(problem.lines, search.columns, strict=True))
        if line.capacity_per_s > 0.0
        for changed in _change_side(column, is_used=used[index])
    ]
    return _choose(searches, _list_amounts(problem, limits))


def list_searches(problem: ModelProblem, limits: Sequence[Limit]) -> list[Search]:
    """Return the ways to cover the need of `problem`; the best of them all is the best."""
    weights = _weigh(problem)
    most = [int(find_most_replicas(problem, line)) for line in problem.lines]
    searches = []
    for rows in _list_rows(problem):
        columns = []
        for line, top, (below, above), gains in zip(problem.lines, most, weights, rows.gains, strict=True):
            least = max(line.min_replicas, get_wanted(problem, line))
            given = (*(gains or ((0, 0),) * len(rows.needs)), (1, _ALL))
            highest = 0 if gains is None else top
            columns.append(Column(least, highest, line.present_replicas, below, above, given, _list_uses(limits, line)))
        if all(column.least <= column.most for column in columns):
            searches.append(Search(tuple(columns), (*rows.needs, problem.min_replicas)))
    return searches


# --- Rows -------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Rows:
    """What each lead time needs, and what each line gives: of one, and of how many; None where it must not be used."""

    needs: tuple[int, ...]
    gains: tuple[tuple[tuple[int, int], ...] | None, ...]


def _list_rows(problem: ModelProblem) -> list[_Rows]:
    """Return the ways in which replicas may count."""
    if problem.fixed is not None:
        return [_Rows((), ((),) * len(problem.lines))]
    need = problem.need
    times_s = [time_s for time_s in need.lead_times_s if need.sum_rate_per_s(time_s) > 0.0]
    rates_per_s = [need.sum_rate_per_s(time_s) * (1.0 - ROUNDING_RATIO) for time_s in times_s]
    early = [[get_early_replicas(line, time_s) for time_s in times_s] for line in problem.lines]
    counts = [[_ALL if count is None else count for count in row] for row in early]
    if problem.routing in (Routing.WEIGHTED, Routing.BUCKETED):
        return [_make_weighted_rows(problem.lines, rates_per_s, counts)]
    levels = sorted({line.capacity_per_s for line in problem.lines if line.capacity_per_s > 0.0}, reverse=True)
    if not levels:
        return [] if rates_per_s else [_Rows((), ((),) * len(problem.lines))]
    return [_make_level_rows(problem.lines, rates_per_s, counts, level) for level in levels]


def _make_weighted_rows(
    lines: Sequence[VariantLine], rates_per_s: Sequence[float], counts: Sequence[Sequence[int]]
) -> _Rows:
    """Return the rows in which every replica counts as what it carries."""
    shift = _SCALE_BITS - math.frexp(max(rates_per_s, default=1.0))[1]
    carried = [math.floor(math.ldexp(line.capacity_per_s, shift)) for line in lines]
    gains = (tuple((gain, count) for count in row) for gain, row in zip(carried, counts, strict=True))
    return _Rows(tuple(math.ceil(math.ldexp(rate_per_s, shift)) for rate_per_s in rates_per_s), tuple(gains))


def _make_level_rows(
    lines: Sequence[VariantLine], rates_per_s: Sequence[float], counts: Sequence[Sequence[int]], level: float
) -> _Rows:
    """Return the rows in which every replica counts as `level` [1/s]."""
    gains = (_give_alike(line, row, level) for line, row in zip(lines, counts, strict=True))
    return _Rows(tuple(math.ceil(rate_per_s / level) for rate_per_s in rates_per_s), tuple(gains))


def _give_alike(line: VariantLine, counts: Sequence[int], level: float) -> tuple[tuple[int, int], ...] | None:
    """Return what `line` gives where every replica counts as `level` [1/s]; None where it is too slow."""
    if line.capacity_per_s == 0.0:
        return tuple((0, 0) for _ in counts)
    return tuple((1, count) for count in counts) if line.capacity_per_s >= level else None


def _list_known(problem: ModelProblem, limits: Iterable[Limit]) -> list[Limit]:
    return [
        limit
        for limit in limits
        if limit.amount is not None and any(is_in_scope(limit, line.key) for line in problem.lines)
    ]


def _list_uses(limits: Sequence[Limit], line: VariantLine) -> tuple[int, ...]:
    """Return what one replica of `line` uses of every limit, and of the replicas of all."""
    return (*(int(_get_coefficient(limit, line) * _get_parts(limit)) for limit in limits), 1)


def _list_amounts(problem: ModelProblem, limits: Sequence[Limit]) -> tuple[int, ...]:
    """Return what the limits leave, in the same parts, and the most replicas of all."""
    most = sum(int(find_most_replicas(problem, line)) for line in problem.lines)
    if problem.max_replicas is not None:
        most = max(problem.max_replicas, sum(line.min_replicas for line in problem.lines))
    known = ((Fraction(limit.amount or 0.0) + _TOLERANCE) * _get_parts(limit) for limit in limits)
    return (*(math.floor(amount) for amount in known), most)


def _get_coefficient(limit: Limit, line: VariantLine) -> Fraction:
    return Fraction(limit.coefficients[line.key]) if is_in_scope(limit, line.key) else Fraction(0)


def _get_parts(limit: Limit) -> int:
    """Return of how many parts one unit of `limit` consists, so that all that is used of it is whole."""
    return math.lcm(*(Fraction(use).denominator for use in limit.coefficients.values()))


# --- Wishes -----------------------------------------------------------------------------------------------------------
def _weigh(problem: ModelProblem) -> list[tuple[int, int]]:
    """Return for every line the weight of one more, up to the present replicas and beyond."""
    lines = problem.lines
    most = [int(find_most_replicas(problem, line)) for line in lines]
    names = _weigh_names(lines, most)
    highest = max((line.capacity_per_s for line in lines), default=0.0) or 1.0
    spare = [round(line.capacity_per_s / highest * _SPARE_PARTS) for line in lines]
    of_spare = 1 + sum(name * top for name, top in zip(names, most, strict=True))
    of_moves = of_spare * (1 + sum(part * top for part, top in zip(spare, most, strict=True)))
    of_cost = of_moves * (1 + sum(max(top, line.present_replicas) for line, top in zip(lines, most, strict=True)))
    weights = []
    for line, name, part in zip(lines, names, spare, strict=True):
        rent, start, stop = map(to_units, (line.cost_per_hour, line.start_cost_per_hour, line.stop_cost_per_hour))
        last = -part * of_spare - name
        weights.append(((rent - stop) * of_cost - of_moves + last, (rent + start) * of_cost + of_moves + last))
    return weights


def _weigh_names(lines: Sequence[VariantLine], most: Sequence[int]) -> list[int]:
    """Return a weight for each line such that one more of a name counts more than all that come after it."""
    weights, weight = [0] * len(lines), 1
    for index in sorted(range(len(lines)), key=lambda place: lines[place].key, reverse=True):
        weights[index] = weight
        weight *= most[index] + 1
    return weights


# --- Choosing ---------------------------------------------------------------------------------------------------------
def _choose(searches: Iterable[Search], amounts: tuple[int, ...]) -> Choice:
    best: Counts | None = None
    weight: int | None = None
    is_proven, nodes = True, 0
    for search in searches:
        found = cover(search.columns, search.needs, amounts, most_nodes=_MOST_NODES, below=weight)
        is_proven, nodes = is_proven and found.is_proven, nodes + found.nodes
        if found.counts is not None:
            best, weight = found.counts, found.weight
    return Choice(best, is_proven, nodes)


def _change_side(column: Column, *, is_used: bool) -> list[Column]:
    """Return `column` without any, or with at least one, where its bounds have that."""
    if is_used:
        return [replace(column, most=0)] if column.least == 0 else []
    return [replace(column, least=max(column.least, 1))] if column.most > 0 else []
