"""All fleets a clairvoyant planner needs to look at, and what each of them lacks in a step. It compares no costs.

The box: no more of v than carries the highest need alone, ``Y_v = max over r, t of ceil(need_rt / mu_rv)``, and no
fewer than its bound and the replicas it begins with. It loses nothing: a path clipped to it still meets every need,
uses no more of any cap, and neither rents nor switches more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.solver.clairvoyant.problem import (
    NEED_TOLERANCE_RATIO,
    BoolArray,
    ClairvoyantProblem,
    FloatArray,
    add_up,
    exceeds,
)
from optimizer.solver.min_plus import IntArray


@dataclass(frozen=True, slots=True, eq=False)
class StateSpace:
    """Every fleet of the box, one axis per variant.

    Attributes
    ----------
    lows
        Replicas at index 0 of each axis.
    shape
        Length of each axis.
    counts
        Replicas along each axis, shaped to broadcast against the others.
    forbidden
        Fleets that bounds, caps or the condition rule out in every step.
    capacities
        What each fleet gives of each row per second, R arrays of `shape`.
    """

    lows: tuple[int, ...]
    shape: tuple[int, ...]
    counts: tuple[IntArray, ...]
    forbidden: BoolArray
    capacities: tuple[FloatArray, ...]

    @property
    def size(self) -> int:
        """How many fleets there are."""
        return math.prod(self.shape)


def compute_box(problem: ClairvoyantProblem) -> tuple[tuple[int, int], ...]:
    """Return the fewest and the most replicas of every variant that need to be looked at."""
    initial = problem.initial_replicas or (0,) * len(problem.variants)
    peaks = problem.needs.max(axis=1)
    box = []
    for number, (variant, first) in enumerate(zip(problem.variants, initial, strict=True)):
        gains = [float(row[number]) for row in problem.capacities]
        alone = max((_divide_up(float(peak), gain) for peak, gain in zip(peaks, gains, strict=True)), default=0)
        low = variant.min_replicas if problem.initial_replicas is None else min(variant.min_replicas, first)
        if problem.condition is not None and variant.max_replicas is not None:
            alone = variant.max_replicas
        most = alone if variant.max_replicas is None else min(alone, variant.max_replicas)
        box.append((low, max(most, variant.min_replicas, first)))
    return tuple(box)


def count_states(problem: ClairvoyantProblem) -> int:
    """Return how many fleets the box holds."""
    return math.prod(high - low + 1 for low, high in compute_box(problem))


def make_states(problem: ClairvoyantProblem) -> StateSpace:
    """Return the box of `problem` as arrays."""
    box = compute_box(problem)
    shape = tuple(high - low + 1 for low, high in box)
    counts = tuple(
        np.arange(low, high + 1, dtype=np.int64).reshape([-1 if axis == number else 1 for axis in range(len(box))])
        for number, (low, high) in enumerate(box)
    )
    return StateSpace(
        lows=tuple(low for low, _ in box),
        shape=shape,
        counts=counts,
        forbidden=_find_forbidden(problem, counts, shape),
        capacities=tuple(np.broadcast_to(add_up(row, counts), shape) for row in problem.capacities),
    )


def rank_needs(states: StateSpace, needs: FloatArray) -> tuple[tuple[IntArray, ...], IntArray]:
    """Return the rank of every fleet's capacity in each row, and the least rank that meets each need, R by T.

    Needs of equal rank are met by the same fleets, so that a step is told by whole numbers and not by its rate.
    """
    ranks, least = [], []
    for capacity, row in zip(states.capacities, needs, strict=True):
        levels, inverse = np.unique(capacity, return_inverse=True)
        ranks.append(np.asarray(inverse, dtype=np.int64).reshape(states.shape))
        least.append(np.searchsorted(levels, row * (1.0 - NEED_TOLERANCE_RATIO), side="left").astype(np.int64))
    return tuple(ranks), np.array(least, dtype=np.int64).reshape(needs.shape)


def _find_forbidden(problem: ClairvoyantProblem, counts: Sequence[IntArray], shape: tuple[int, ...]) -> BoolArray:
    forbidden = np.zeros(shape, dtype=np.bool_)
    for variant, count in zip(problem.variants, counts, strict=True):
        forbidden |= count < variant.min_replicas
        if variant.max_replicas is not None:
            forbidden |= count > variant.max_replicas
    for cap in problem.caps:
        forbidden |= exceeds(cap, counts)
    if problem.condition is not None:
        forbidden |= ~problem.condition(counts)
    return forbidden


def _divide_up(need: float, gain: float) -> int:
    """Return how many replicas that give `gain` each meet `need`, 0 where they give none."""
    return math.ceil(need * (1.0 - NEED_TOLERANCE_RATIO) / gain) if need > 0.0 < gain else 0
