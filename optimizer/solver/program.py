"""A mixed-integer program put together row by row, and its honest answer. Knows nothing of replicas.

Deterministic: gap and node limits, no time limit. Source: HiGHS through `scipy.optimize.milp`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_array

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


@dataclass(slots=True)
class Program:
    """Variables with bounds, and rows ``low <= sum(coefficient * variable) <= high``."""

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
            options={"mip_rel_gap": decision.solver_gap_ratio, "node_limit": decision.solver_node_limit},
        )
        found = cast("npt.NDArray[np.float64] | None", result.x)
        if found is None:
            return None
        values = np.where(self._is_integer, np.round(found), found)
        reached = float(self._to_vector(objective) @ values)
        bound = reached if result.mip_dual_bound is None else min(float(result.mip_dual_bound), reached)
        return Answer(values, reached, bound)

    def compute_prices(self, objective: Mapping[int, float], rows: tuple[int, ...]) -> tuple[float, ...]:
        """Return what one more unit of the upper side of each of `rows` saves in the relaxation, >= 0."""
        matrix, lows, highs = self._to_matrix()
        upper, lower = np.flatnonzero(np.isfinite(highs)), np.flatnonzero(np.isfinite(lows))
        result = linprog(
            self._to_vector(objective),
            A_ub=np.vstack([matrix.toarray()[upper], -matrix.toarray()[lower]]),
            b_ub=np.concatenate([highs[upper], -lows[lower]]),
            bounds=list(zip(self._lows, self._highs, strict=True)),
            method="highs",
        )
        if not result.success:
            return tuple(0.0 for _ in rows)
        place = {int(row): number for number, row in enumerate(upper)}
        return tuple(max(-float(result.ineqlin.marginals[place[row]]), 0.0) for row in rows)

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
