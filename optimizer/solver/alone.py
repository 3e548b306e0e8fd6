"""The plan of one LLM that nothing joins to others, exactly. It knows no shortage.

Least cost, then fewest moves, then most spare capacity, then more of the variant whose name comes first. Where the need
cannot be met whole it says so, and others decide who goes short.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from optimizer.domain import Limit
from optimizer.solver.column import Column
from optimizer.solver.covering import cover
from optimizer.solver.problem import ModelProblem
from optimizer.solver.searches import Search, list_amounts, list_known, list_searches
from optimizer.solver.wishes import weigh_wishes

Counts = tuple[int, ...]

_MOST_NODES = 5_000


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
    limits = list_known(problem, limits)
    return _choose(list_searches(problem, limits, weigh_wishes(problem)), list_amounts(problem, limits))


def choose_other_counts(problem: ModelProblem, limits: Iterable[Limit], used: Sequence[bool]) -> Choice:
    """Return the best replicas among those that use another set of variants than `used`, by line.

    Only variants with a capacity count, and only where there is a choice.
    """
    limits = list_known(problem, limits)
    searches = [
        replace(search, columns=(*search.columns[:index], changed, *search.columns[index + 1 :]))
        for search in list_searches(problem, limits, weigh_wishes(problem))
        for index, (line, column) in enumerate(zip(problem.lines, search.columns, strict=True))
        if line.capacity_per_s > 0.0
        for changed in _change_side(column, is_used=used[index])
    ]
    return _choose(searches, list_amounts(problem, limits))


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
