"""What one LLM asks of the search: columns for its variants, rows for what is needed when, caps for limits.

    weighted   one search: sum_v mu_v * a_vj >= n_j
    uniform    one search per level c, over variants with mu_v >= c: sum_v a_vj >= n_j / c
    fixed      the counts wanted are lower bounds

It searches nothing, and says nothing about who goes short.

Source: derived from the programs of `formulation`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from optimizer.domain import Limit, Routing
from optimizer.solver.column import Column
from optimizer.solver.formulation import (
    ROUNDING_RATIO,
    find_most_replicas,
    get_early_replicas,
    get_wanted,
    is_in_scope,
)
from optimizer.solver.problem import ModelProblem, VariantLine

_SCALE_BITS = 50  # of the highest need: far below what is rounded off it
_TOLERANCE = Fraction(1, 10**6)
_ALL = 10**9  # of a variant whose new replicas serve in time


@dataclass(frozen=True, slots=True)
class Search:
    """One way to cover the need: the bounds and gains of its columns, and what the rows must reach."""

    columns: tuple[Column, ...]
    needs: tuple[int, ...]


def list_searches(problem: ModelProblem, limits: Sequence[Limit], weights: Sequence[tuple[int, int]]) -> list[Search]:
    """Return the ways to cover the need of `problem`; the best of them all is the best.

    `weights` are those of one more of each line, up to the present replicas and beyond; `limits` are known ones.
    """
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


def list_known(problem: ModelProblem, limits: Iterable[Limit]) -> list[Limit]:
    """Return those of `limits` that are known and count a variant of `problem`, without what they say of others."""
    known = []
    for limit in limits:
        own = {line.key: limit.coefficients[line.key] for line in problem.lines if is_in_scope(limit, line.key)}
        if limit.amount is not None and own:
            known.append(replace(limit, coefficients=own))
    return known


def _list_uses(limits: Sequence[Limit], line: VariantLine) -> tuple[int, ...]:
    """Return what one replica of `line` uses of every limit, and of the replicas of all."""
    return (*(int(_get_coefficient(limit, line) * _get_parts(limit)) for limit in limits), 1)


def list_amounts(problem: ModelProblem, limits: Sequence[Limit]) -> tuple[int, ...]:
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
    return _count_parts(frozenset(limit.coefficients.values()))


@lru_cache(maxsize=1024)
def _count_parts(uses: frozenset[float]) -> int:
    return math.lcm(*(Fraction(use).denominator for use in uses))
