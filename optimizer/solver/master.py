"""Plans of several LLMs put together: one of each under the limits they share. It makes no plans.

The relaxation, in which an LLM may mix its plans, prices the limits; the whole program chooses, one wish after another.

Source: Dantzig and Wolfe (1960).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from optimizer.domain import DecisionSettings, Limit
from optimizer.solver.member import FloatArray, PlanLine
from optimizer.solver.program import Answer, Program, Row

Wish: TypeAlias = Callable[[PlanLine], float]
"""What is to be least, of one plan."""

_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Pricing:
    """The relaxation's answer: its cost in units, infinite where the plans break the limits; prices of the limits."""

    cost: float
    prices: FloatArray


def price_limits(plans: Sequence[Sequence[PlanLine]], limits: Sequence[Limit], penalty: float) -> Pricing:
    """Return what the limits are worth to those who mix `plans`; one more unit costs `penalty` beyond them all."""
    program = Program()
    columns = _add_plans(program, plans, is_integer=False)
    cost = _to_row(columns, plans, lambda line: float(line.cost))
    extra = [program.add_variable() for _ in limits]
    rows = tuple(
        program.add_row(_to_row(columns, plans, _get_use(number)) | {more: -1.0}, high=limit.amount or 0.0)
        for number, (limit, more) in enumerate(zip(limits, extra, strict=True))
    )
    relaxation = program.relax(cost | dict.fromkeys(extra, penalty), rows)
    if relaxation is None:
        return Pricing(math.inf, np.zeros(len(limits)))
    is_kept = float(relaxation.values[extra].sum()) <= _TOLERANCE
    return Pricing(relaxation.objective if is_kept else math.inf, np.array(relaxation.prices))


class PlanChoice:
    """One plan of every LLM under the limits, by one wish after another.

    Parameters
    ----------
    plans
        What there is to choose from, for every LLM.
    limits
        Known limits.
    decision
        How long a pass may be.
    """

    def __init__(
        self, plans: Sequence[Sequence[PlanLine]], limits: Sequence[Limit], decision: DecisionSettings
    ) -> None:
        self._plans, self._decision, self._program = plans, decision, Program(has_presolve=False)
        self._columns = _add_plans(self._program, plans, is_integer=True)
        self._answer: Answer | None = None
        for number, limit in enumerate(limits):
            row = self._to_row(_get_use(number))
            if row and limit.amount is not None:
                self._program.add_row(row, high=limit.amount)

    def minimize(self, wish: Wish) -> Answer | None:
        """Return the answer with the least sum of `wish`, whole numbers; None where no choice keeps the limits.

        What is reached binds all later wishes.
        """
        row = self._to_row(wish)
        answer = self._program.minimize(row, self._decision)
        if answer is not None:
            self._answer = answer
            self._program.add_row(row, high=round(answer.objective) + 0.5)
        return answer

    @property
    def lines(self) -> tuple[PlanLine, ...]:
        """What the last answer chose."""
        assert self._answer is not None
        values = self._answer.values
        return tuple(
            max(zip(own, lines, strict=True), key=lambda pair: float(values[pair[0]]))[1]
            for own, lines in zip(self._columns, self._plans, strict=True)
        )

    def is_only_one(self) -> bool:
        """Whether no other choice fulfills the wishes as well as the last answer."""
        chosen = {id(line) for line in self.lines}
        other = self._program.minimize(self._to_row(lambda line: float(id(line) in chosen)), self._decision)
        return other is None or round(other.objective) == len(self._plans)

    def _to_row(self, wish: Wish) -> Row:
        return _to_row(self._columns, self._plans, wish)


def _add_plans(program: Program, plans: Sequence[Sequence[PlanLine]], *, is_integer: bool) -> list[list[int]]:
    """Add the share of every plan, the shares of one LLM being one together, and return the variables."""
    columns = [[program.add_variable(0.0, 1.0, is_integer=is_integer) for _ in lines] for lines in plans]
    for own in columns:
        program.add_row(dict.fromkeys(own, 1.0), 1.0, 1.0)
    return columns


def _to_row(columns: Sequence[Sequence[int]], plans: Sequence[Sequence[PlanLine]], wish: Wish) -> Row:
    pairs = (
        (column, wish(line))
        for own, lines in zip(columns, plans, strict=True)
        for column, line in zip(own, lines, strict=True)
    )
    return {column: value for column, value in pairs if value}


def _get_use(number: int) -> Wish:
    return lambda line: float(line.uses[number])
