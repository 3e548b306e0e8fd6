"""A mixed-integer program put together row by row, and its honest answer. Knows nothing of replicas.

Deterministic: gap and node limits, no time limit. Source: HiGHS through `scipy.optimize.milp`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_array, vstack

from optimizer.domain import DecisionSettings

Row = dict[int, float]
"""Coefficients by variable."""

_INTEGRALITY = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """What the solver found: a value per variable, the objective there, and a proven lower bound of it."""

    values: npt.NDArray[np.float64]
    objective: float
    bound: float


@dataclass(frozen=True, slots=True)
class Relaxation:
    """The answer in real numbers, the objective there, and what one more unit of each row asked about saves, >= 0."""

    values: npt.NDArray[np.float64]
    objective: float
    prices: tuple[float, ...]


@dataclass(slots=True)
class Program:
    """Variables with bounds, and rows ``low <= sum(coefficient * variable) <= high``.

    Attributes
    ----------
    has_presolve
        Whether the solver may simplify first. It pays where rows have structure; where they only choose one of several
        there is nothing to gain, and HiGHS has a path in there that prints to the standard output.
    """

    has_presolve: bool = True
    _lows: list[float] = field(default_factory=list)
    _highs: list[float] = field(default_factory=list)
    _is_integer: list[int] = field(default_factory=list)
    _rows: list[tuple[Row, float, float]] = field(default_factory=list)

    def add_variable(self, low: float = 0.0, high: float = np.inf, *, is_integer: bool = False) -> int:
        """Return a new variable."""
        self._lows.append(low)
        self._highs.append(high)
        self._is_integer.append(_INTEGRALITY if is_integer else 0)
        return len(self._lows) - 1

    def restrict(self, variable: int, low: float, high: float) -> None:
        """Narrow the bounds of `variable` to those between `low` and `high`."""
        self._lows[variable] = max(self._lows[variable], low)
        self._highs[variable] = min(self._highs[variable], high)

    def add_row(self, row: Row, low: float = -np.inf, high: float = np.inf) -> int:
        """Add a row and return its number."""
        self._rows.append((row, low, high))
        return len(self._rows) - 1

    def minimize(self, objective: Mapping[int, float], decision: DecisionSettings) -> Answer | None:
        """Return the best answer found within the gap and node limits, None when there is none."""
        result = milp(
            self._to_vector(objective),
            integrality=np.array(self._is_integer),
            bounds=Bounds(np.array(self._lows), np.array(self._highs)),
            constraints=LinearConstraint(*self._to_matrix()) if self._rows else None,
            options={
                "mip_rel_gap": decision.solver_gap_ratio,
                "node_limit": decision.solver_node_limit,
                "presolve": self.has_presolve,
            },
        )
        found = cast("npt.NDArray[np.float64] | None", result.x)
        if found is None:
            return None
        values = np.where(self._is_integer, np.round(found), found)
        reached = float(self._to_vector(objective) @ values)
        bound = reached if result.mip_dual_bound is None else min(float(result.mip_dual_bound), reached)
        return Answer(values, reached, bound)

    def relax(self, objective: Mapping[int, float], rows: tuple[int, ...]) -> Relaxation | None:
        """Return the answer in real numbers, with the prices of the upper sides of `rows`; None when there is none."""
        matrix, lows, highs = self._to_matrix()
        upper, lower = np.flatnonzero(np.isfinite(highs)), np.flatnonzero(np.isfinite(lows))
        result = linprog(
            self._to_vector(objective),
            A_ub=cast("Any", vstack([matrix[upper], -matrix[lower]])),  # the stubs know no sparse rows
            b_ub=np.concatenate([highs[upper], -lows[lower]]),
            bounds=list(zip(self._lows, self._highs, strict=True)),
            method="highs",
        )
        if not result.success:
            return None
        place = {int(row): number for number, row in enumerate(upper)}
        prices = tuple(max(-float(result.ineqlin.marginals[place[row]]), 0.0) for row in rows)
        return Relaxation(np.asarray(result.x, dtype=np.float64), float(cast("float", result.fun)), prices)

    def _to_vector(self, row: Mapping[int, float]) -> npt.NDArray[np.float64]:
        vector = np.zeros(len(self._lows))
        vector[list(row)] = list(row.values())
        return vector

    def _to_matrix(self) -> tuple[csr_array, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        entries = [(number, *cell) for number, (row, _, _) in enumerate(self._rows) for cell in row.items()]
        rows, columns, values = zip(*entries, strict=True) if entries else ((), (), ())
        matrix = csr_array((values, (rows, columns)), shape=(len(self._rows), len(self._lows)))
        lows = np.array([low for _, low, _ in self._rows], dtype=np.float64)
        highs = np.array([high for _, _, high in self._rows], dtype=np.float64)
        return matrix, lows, highs
