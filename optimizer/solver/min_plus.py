"""The cheapest move between two replica counts, for all counts at once: a min-plus transform. It knows no demand.

Starting costs k, stopping k' a replica, axis by axis. Along one axis, for a line of values W(0…Y):

    down:   D(n) =  k'*n + min over m <= n of [ W(m) - k'*m ]     a running minimum from the left
    up:     U(n) = -k*n  + min over m >= n of [ W(m) + k*m ]      a running minimum from the right
    moved:  min(D(n), U(n))

The cost of a move is a sum over the axes, so the minimum over all targets nests: one axis after the other, in any
order. Two running minima replace a minimum over all targets, and values may be as good as infinite.

Source: derived; distance transforms of sampled functions (Felzenszwalb and Huttenlocher, 2012) with an L1 distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


def relax_moves(values: IntArray, start_costs: Sequence[int], stop_costs: Sequence[int]) -> IntArray:
    """Return, for every state, the least of ``cost of moving to another state + its value``.

    Parameters
    ----------
    values
        Value of every state [cost units], one axis per variant.
    start_costs, stop_costs
        Cost of one start and one stop [cost units], >= 0, by axis.
    """
    for axis, (start_cost, stop_cost) in enumerate(zip(start_costs, stop_costs, strict=True)):
        values = relax_axis(values, axis, start_cost, stop_cost)
    return values


def relax_axis(values: IntArray, axis: int, start_cost: int, stop_cost: int) -> IntArray:
    """Return the same for moves along one axis."""
    if values.shape[axis] == 1:
        return values
    if start_cost == stop_cost == 0:
        least = values.min(axis=axis, keepdims=True)
        return np.array(np.broadcast_to(least, values.shape), dtype=np.int64)
    size, backward = values.shape[axis], (slice(None),) * axis + (slice(None, None, -1),)
    ups, downs = _make_ramp(values.ndim, axis, size, start_cost), _make_ramp(values.ndim, axis, size, stop_cost)
    down: IntArray = values - downs
    np.minimum.accumulate(down, axis=axis, out=down)
    down += downs
    up = (values + ups)[backward]
    np.minimum.accumulate(up, axis=axis, out=up)
    np.minimum(down, up[backward] - ups, out=down)
    return down


@lru_cache(maxsize=256)
def _make_ramp(ndim: int, axis: int, size: int, cost: int) -> IntArray:
    """Return ``0, cost, 2*cost, ...`` along `axis`."""
    shape = [1] * ndim
    shape[axis] = size
    ramp = (np.arange(size, dtype=np.int64) * cost).reshape(shape)
    ramp.flags.writeable = False
    return ramp


def compute_move_costs(size: int, origin: int, start_cost: int, stop_cost: int, low: int = 0) -> IntArray:
    """Return what moving from `origin` replicas to each of ``low … low + size - 1`` costs [cost units]."""
    more = np.arange(low, low + size, dtype=np.int64) - origin
    costs: IntArray = np.maximum(more, 0) * start_cost + np.maximum(-more, 0) * stop_cost
    return costs
