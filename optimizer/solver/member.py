"""One LLM among several that share limits: its best plan when what is scarce has prices, and its list of plans.

It knows nothing of the others.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from optimizer.domain import Limit
from optimizer.solver.column import Column
from optimizer.solver.covering import cover, list_covers
from optimizer.solver.formulation import is_in_scope, to_units
from optimizer.solver.problem import ModelProblem
from optimizer.solver.searches import Search, list_amounts, list_known, list_searches
from optimizer.solver.wishes import count_spare_parts, weigh_wishes

Counts = tuple[int, ...]
FloatArray = npt.NDArray[np.float64]

PRICE_PARTS = 1 << 16
"""Priced weights are whole numbers of these parts of a cost unit, rounded down, so that bounds stay bounds."""


@dataclass(frozen=True, slots=True, eq=False)
class PlanLine:
    """A plan of one LLM as the others feel it.

    Attributes
    ----------
    counts
        Replicas by line.
    cost
        Its cost in whole units, stops included.
    uses
        What it uses of each shared limit, L entries.
    moves, spare
        Starts and stops, and capacity in parts of the highest.
    wish
        All wishes in one number: of two plans that use the same, the one with the lower number is better.
    """

    counts: Counts
    cost: int
    uses: FloatArray
    moves: int
    spare: int
    wish: int


class Member:
    """One LLM.

    Parameters
    ----------
    problem
        Its problem.
    limits
        All known limits that join the LLMs, L of them.
    highest_per_s
        Capacity by which spare capacity is measured [1/s].
    """

    def __init__(self, problem: ModelProblem, limits: Sequence[Limit], highest_per_s: float) -> None:
        self.problem = problem
        own = list_known(problem, limits)
        self._wishes = weigh_wishes(problem, highest_per_s)
        self._spare = [count_spare_parts(line, highest_per_s) for line in problem.lines]
        self._amounts = list_amounts(problem, own)
        self._searches = list_searches(problem, own, self._wishes)
        self._uses: FloatArray = np.array(
            [
                [limit.coefficients[line.key] if is_in_scope(limit, line.key) else 0.0 for limit in limits]
                for line in problem.lines
            ]
        ).reshape(len(problem.lines), len(limits))
        self._rates = [
            (to_units(line.cost_per_hour) - to_units(line.stop_cost_per_hour),
             to_units(line.cost_per_hour) + to_units(line.start_cost_per_hour))
            for line in problem.lines
        ]  # fmt: skip
        self._base = sum(to_units(line.stop_cost_per_hour) * line.present_replicas for line in problem.lines)

    def find_plan(
        self, prices: FloatArray, most_nodes: int, known: Sequence[PlanLine] = ()
    ) -> tuple[Counts, int] | None:
        """Return the best counts at `prices` [units per unit of each limit], and their priced weight in parts.

        None where there are no counts, or the search is too long. `known` plans shorten it: only better ones are
        looked for.
        """
        added = self._list_added(prices)
        weights = [(self._weigh_priced(line.counts, added), line.counts) for line in known]
        weight, best = min(weights, default=(None, None))
        for search in self._price(added):
            found = cover(search.columns, search.needs, self._amounts, most_nodes=most_nodes, below=weight)
            if not found.is_proven:
                return None
            if found.counts is not None:
                best, weight = found.counts, found.weight
        return None if best is None or weight is None else (best, weight + self._base * PRICE_PARTS)

    def list_plans(self, prices: FloatArray, most_weight: int, most_nodes: int) -> list[PlanLine] | None:
        """Return all plans whose priced weight is at most `most_weight` and that no other one betters.

        None where that is too much.
        """
        listed: dict[Counts, None] = {}
        for search in self._price(self._list_added(prices)):
            limit = most_weight - self._base * PRICE_PARTS
            covers = list_covers(search.columns, search.needs, self._amounts, most_weight=limit, most_nodes=most_nodes)
            if covers is None:
                return None
            listed |= dict.fromkeys(covers)
        return keep_best([self.to_line(counts) for counts in listed])

    def to_line(self, counts: Counts) -> PlanLine:
        """Return `counts` as the others feel them."""
        present = [line.present_replicas for line in self.problem.lines]
        uses: FloatArray = np.array(
            [math.fsum(map(operator.mul, column, counts)) for column in self._uses.T.tolist()], dtype=np.float64
        )
        return PlanLine(
            counts=counts,
            cost=self._base + sum(map(_weigh, self._rates, present, counts)),
            uses=uses,
            moves=sum(abs(count - before) for count, before in zip(counts, present, strict=True)),
            spare=sum(map(operator.mul, self._spare, counts)),
            wish=sum(map(_weigh, self._wishes, present, counts)),
        )

    def _list_added(self, prices: FloatArray) -> list[int]:
        """Return what prices add to the weight of one replica of every line [parts]."""
        return [
            math.floor(math.fsum(use * price for use, price in zip(row, prices.tolist(), strict=True)) * PRICE_PARTS)
            for row in self._uses.tolist()
        ]

    def _weigh_priced(self, counts: Counts, added: Sequence[int]) -> int:
        """Return the priced weight of `counts`, without that of none [parts]."""
        present = [line.present_replicas for line in self.problem.lines]
        cost = sum(map(_weigh, self._rates, present, counts))
        return cost * PRICE_PARTS + sum(more * count for more, count in zip(added, counts, strict=True))

    def _price(self, added: Sequence[int]) -> Iterator[Search]:
        """Yield the searches with costs and prices for weights."""
        for search in self._searches:
            yield replace(
                search,
                columns=tuple(
                    _reprice(column, rate, more)
                    for column, rate, more in zip(search.columns, self._rates, added, strict=True)
                ),
            )


def keep_best(lines: Sequence[PlanLine]) -> list[PlanLine]:
    """Return those of `lines` that no other one betters in wish without using more of any limit."""
    kept: list[PlanLine] = []
    for line in sorted(lines, key=lambda one: (one.wish, one.counts)):
        if not any(bool((other.uses <= line.uses).all()) for other in kept):
            kept.append(line)
    return kept


def _weigh(rate: tuple[int, int], present: int, count: int) -> int:
    below, above = rate
    return below * min(count, present) + above * max(count - present, 0)


def _reprice(column: Column, rate: tuple[int, int], more: int) -> Column:
    return replace(column, weight_below=rate[0] * PRICE_PARTS + more, weight_above=rate[1] * PRICE_PARTS + more)
