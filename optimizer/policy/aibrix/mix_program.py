"""AIBrix: the mix of accelerators of least cost for a load by cells, as an integer program with sliced cells.

    minimize sum_g cost_g y_g,    y_g >= sum_c k_cg / 4 * rate_c / capacity_g(c) integer,    sum_g k_cg = 4

k_cg of the four equal slices of cell c go to g; a capacity of 0 counts as a load of a million per request and second.
Quirks kept: no bound, no limit, no price of a start; one unattainable cell asks for a billion replicas. Unlike the peer
the search stops at a count of nodes, and then there is no answer.

Source: AIBrix e3e10f9e (head, 2026-08-22), optimizer; T. Griggs et al., "Mélange: Cost efficient large language model
serving by exploiting GPU heterogeneity", 2024.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

SLICES = 4
UNATTAINABLE_LOAD = 1e6
_MOST_NODES = 20_000
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class LoadCell:
    """Load of one cell: rate, in requests per second or a multiple, and what one replica carries of it, by type."""

    rate: float
    capacity: Mapping[str, float]


def solve_mix(cells: Sequence[LoadCell], costs: Mapping[str, float]) -> dict[str, int] | None:
    """Return replicas by type at least cost, in the unit of the rates; None when no best mix was proven."""
    types = sorted(costs)
    shares = _share_slices(cells, types, costs)
    if shares is None:
        return None
    totals = dict.fromkeys(types, 0.0)
    for cell, row in zip(cells, shares, strict=True):
        for name, slices in zip(types, row, strict=True):
            totals[name] += slices / SLICES * cell.rate * _get_load(cell, name)
    return {name: math.ceil(total - _TOLERANCE) for name, total in totals.items()}


def _get_load(cell: LoadCell, name: str) -> float:
    capacity = cell.capacity[name]
    return 1.0 / capacity if capacity > 0.0 else UNATTAINABLE_LOAD


def _share_slices(
    cells: Sequence[LoadCell], types: Sequence[str], costs: Mapping[str, float]
) -> list[list[int]] | None:
    """Return the slices of each cell that go to each type.

    Where a cell is unattainable for some types only, these get none; where for all, the cheapest gets it: either is
    what a load of a million makes of it, and keeps the numbers of the program small.
    """
    cheapest = min(types, key=lambda name: (costs[name], name))
    shares = [[SLICES * (name == cheapest) for name in types] for _ in cells]
    open_cells = [index for index, cell in enumerate(cells) if any(cell.capacity[name] > 0.0 for name in types)]
    if not open_cells:
        return shares
    if len(types) == 1:
        return shares
    solved = _solve([cells[index] for index in open_cells], types, costs)
    if solved is None:
        return None
    for index, row in zip(open_cells, solved, strict=True):
        shares[index] = row
    return shares


def _solve(cells: Sequence[LoadCell], types: Sequence[str], costs: Mapping[str, float]) -> list[list[int]] | None:
    """Return the slices by the integer program: variables k_cg cell by cell, then y_g."""
    size = len(cells) * len(types)
    objective = np.concatenate([np.zeros(size), [costs[name] for name in types]])
    most = [float(SLICES) if cell.capacity[name] > 0.0 else 0.0 for cell in cells for name in types]
    complete = np.zeros((len(cells), size + len(types)))
    covered = np.zeros((len(types), size + len(types)))
    for row, cell in enumerate(cells):
        for column, name in enumerate(types):
            place = row * len(types) + column
            complete[row, place] = 1.0
            covered[column, place] = -cell.rate / SLICES * _get_load(cell, name) if most[place] else 0.0
    covered[:, size:] = np.eye(len(types))
    found = milp(
        objective,
        integrality=np.ones(size + len(types), dtype=np.int64),
        bounds=Bounds(0.0, np.concatenate([most, np.full(len(types), np.inf)])),
        constraints=[LinearConstraint(complete, SLICES, SLICES), LinearConstraint(covered, 0.0, np.inf)],
        options={"node_limit": _MOST_NODES, "mip_rel_gap": 0.0},
    )
    if not found.success:
        return None
    return [[round(value) for value in found.x[row * len(types) : (row + 1) * len(types)]] for row in range(len(cells))]
