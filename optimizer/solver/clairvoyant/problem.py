"""What a planner with perfect foresight has to solve, and its costs as whole numbers. It solves nothing.

    minimise   sum_t [ d_t * p*y_t + sum_v k_v * (y_tv - y_(t-1)v)+ + k'_v * (y_(t-1)v - y_tv)+ ]
    over       integer y_t  with  sum_v mu_rv * y_tv >= need_rt  for every row r,  bounds, caps, a condition

Letters: V variants, R rows of need, T steps, C caps. A *row* is one linear need: with one service unit a request per
second, mu_v is the capacity of a replica; several rows say several things that must all hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from optimizer.domain import VariantKey
from optimizer.errors import InvalidInput
from optimizer.solver.formulation import COST_UNIT_PER_HOUR
from optimizer.solver.min_plus import IntArray

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Condition = Callable[[Sequence[IntArray]], BoolArray]
"""Replicas by variant, as arrays that broadcast against each other, to whether such a fleet is allowed."""

UNITS_PER_CURRENCY = round(1.0 / COST_UNIT_PER_HOUR) * 3_600_000
"""A cost unit is `COST_UNIT_PER_HOUR` over a millisecond: 10^-4 currency/h times 1 ms."""
MOST_UNITS = 2**60
"""No sum of costs may reach this; what is forbidden costs twice as much."""
NEED_TOLERANCE_RATIO = 1e-9
"""A need counts as met when this little of it is missing: the rounding of sums, on the side of a lower bound."""
_ROUNDING = 1e-6  # of a unit: 1.006 currency/h are 10060 units, though the float is below


@dataclass(frozen=True, slots=True)
class ClairvoyantVariant:
    """One variant.

    Attributes
    ----------
    key
        Which one.
    cost_per_hour
        Price of a replica [currency/h], >= 0.
    start_cost, stop_cost
        What one start, one stop costs [currency], >= 0; a billed start-up is price times its duration.
    min_replicas, max_replicas
        Bounds in every step; None means none.
    """

    key: VariantKey
    cost_per_hour: float
    start_cost: float = 0.0
    stop_cost: float = 0.0
    min_replicas: int = 0
    max_replicas: int | None = None


@dataclass(frozen=True, slots=True)
class ReplicaCap:
    """``sum_v coefficients[v] * y_v <= amount`` in every step, coefficients >= 0."""

    name: str
    coefficients: tuple[float, ...]
    amount: float


@dataclass(frozen=True, slots=True, eq=False)
class ClairvoyantProblem:
    """The whole of it.

    Attributes
    ----------
    variants
        V of them; ties between plans are broken in their order.
    durations_s
        Length of each step [s], T of them, > 0.
    capacities
        What one replica gives of each row per second, array of R by V, >= 0.
    needs
        What each row needs per second during each step, array of R by T, >= 0.
    caps
        Limits that hold in every step.
    initial_replicas
        Replicas before the first step, V of them; None: whatever suits, started for nothing.
    condition
        Anything else about y alone. It must allow fewer where it allows more, or `max_replicas` must bound every
        variant: the search looks no further than what carries the highest need alone.

    Raises
    ------
    InvalidInput
        If shapes disagree, or a number is negative, not finite, or too large for whole cost units.
    """

    variants: tuple[ClairvoyantVariant, ...]
    durations_s: FloatArray
    capacities: FloatArray
    needs: FloatArray
    caps: tuple[ReplicaCap, ...] = ()
    initial_replicas: tuple[int, ...] | None = None
    condition: Condition | None = None

    def __post_init__(self) -> None:
        """Raise InvalidInput where a bound is broken."""
        rows, steps, variants = len(self.needs), len(self.durations_s), len(self.variants)
        if not variants or not steps:
            raise InvalidInput("variants and steps", "at least one of each", (variants, steps))
        _check_array("durations_s", self.durations_s, (steps,))
        _check_array("capacities", self.capacities, (rows, variants))
        _check_array("needs", self.needs, (rows, steps))
        if round(1e3 * float(self.durations_s.min())) < 1:
            raise InvalidInput("durations_s", ">= 0.001 [s]", float(self.durations_s.min()))
        if self.initial_replicas is not None and (
            len(self.initial_replicas) != variants or min(self.initial_replicas) < 0
        ):
            raise InvalidInput("initial_replicas", f"{variants} numbers >= 0 [replicas]", self.initial_replicas)
        for cap in self.caps:
            if len(cap.coefficients) != variants or min(cap.coefficients) < 0.0:
                raise InvalidInput(f"caps[{cap.name}].coefficients", f"{variants} numbers >= 0", cap.coefficients)
        for variant in self.variants:
            _check_variant(variant)


def _check_array(name: str, array: FloatArray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise InvalidInput(f"{name}.shape", str(shape), array.shape)
    if array.size and not (float(array.min()) >= 0.0 and math.isfinite(float(array.max()))):
        raise InvalidInput(name, ">= 0 and finite", (float(array.min()), float(array.max())))


def _check_variant(variant: ClairvoyantVariant) -> None:
    where = f"variants[{variant.key.variant}]"
    for name in ("cost_per_hour", "start_cost", "stop_cost", "min_replicas"):
        value = getattr(variant, name)
        if not 0.0 <= value < math.inf:
            raise InvalidInput(f"{where}.{name}", ">= 0 and finite", value)
    if variant.max_replicas is not None and variant.max_replicas < variant.min_replicas:
        raise InvalidInput(f"{where}.max_replicas", f">= min_replicas ({variant.min_replicas})", variant.max_replicas)


# --- Costs as whole numbers -------------------------------------------------------------------------------------------
def get_milliseconds(problem: ClairvoyantProblem) -> IntArray:
    """Return the length of every step [ms]: rounded down, so that no bound rises by it."""
    return np.floor(problem.durations_s * 1e3 + _ROUNDING).astype(np.int64)


def get_price_units(variant: ClairvoyantVariant) -> int:
    """Return the price of one replica [cost units per ms]: rounded down, so that no bound rises by it."""
    return math.floor(variant.cost_per_hour / COST_UNIT_PER_HOUR + _ROUNDING)


def to_units(cost: float) -> int:
    """Return `cost` [currency] in cost units, rounded down."""
    return math.floor(cost * UNITS_PER_CURRENCY + _ROUNDING)


def to_currency(units: int) -> float:
    """Return `units` in currency."""
    return units / UNITS_PER_CURRENCY


def compute_path_units(problem: ClairvoyantProblem, path: IntArray) -> int:
    """Return what the replicas of `path`, array of T by V, cost together [cost units]; nothing else is checked."""
    milliseconds = get_milliseconds(problem)
    total = 0
    for number, variant in enumerate(problem.variants):
        counts = [int(count) for count in path[:, number]]
        before = counts[0] if problem.initial_replicas is None else problem.initial_replicas[number]
        price, start, stop = get_price_units(variant), to_units(variant.start_cost), to_units(variant.stop_cost)
        for count, duration_ms in zip(counts, milliseconds.tolist(), strict=True):
            total += price * duration_ms * count + start * max(count - before, 0) + stop * max(before - count, 0)
            before = count
    return total


def compute_path_cost(problem: ClairvoyantProblem, path: IntArray) -> float:
    """Return what the replicas of `path`, array of T by V, cost together [currency]."""
    return to_currency(compute_path_units(problem, path))


def is_path_feasible(problem: ClairvoyantProblem, path: IntArray) -> bool:
    """Return whether `path`, array of T by V, meets every need, bound, cap and the condition in every step."""
    counts = [path[:, number] for number in range(len(problem.variants))]
    for row, needs in zip(problem.capacities, problem.needs, strict=True):
        if bool(np.any(add_up(row, counts) < needs * (1.0 - NEED_TOLERANCE_RATIO))):
            return False
    for variant, count in zip(problem.variants, counts, strict=True):
        high = np.inf if variant.max_replicas is None else variant.max_replicas
        if bool(np.any((count < variant.min_replicas) | (count > high))):
            return False
    if any(bool(np.any(exceeds(cap, counts))) for cap in problem.caps):
        return False
    return problem.condition is None or bool(np.all(problem.condition(counts)))


def exceeds(cap: ReplicaCap, counts: Sequence[IntArray]) -> BoolArray:
    """Return where `counts`, one array per variant, exceed `cap`."""
    used = add_up(np.asarray(cap.coefficients, dtype=np.float64), counts)
    return np.asarray(used > cap.amount * (1.0 + NEED_TOLERANCE_RATIO) + NEED_TOLERANCE_RATIO)


def add_up(coefficients: FloatArray, counts: Sequence[IntArray]) -> FloatArray:
    """Return ``sum_v coefficients[v] * counts[v]``, elementwise and in the order of the variants on every machine."""
    total = np.zeros((), dtype=np.float64)
    for coefficient, count in zip(coefficients.tolist(), counts, strict=True):
        total = total + coefficient * count
    return np.asarray(total, dtype=np.float64)
