"""The solver's answer: how many replicas of each variant, at what cost, and how good that is. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from optimizer.domain.model import Routing
from optimizer.domain.reason import Reason
from optimizer.domain.variant import VariantKey


class SolveStatus(StrEnum):
    """How far the solver got."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"  # limits of nodes or gap reached: `gap_ratio` says how far off it can be
    SHORTAGE = "shortage"  # no plan serves the need; this one serves the most of it
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Allocation:
    """One line of a plan: `replicas` of `key`, each carrying `capacity_per_s` [1/s] at `cost_per_hour` [currency/h]."""

    key: VariantKey
    replicas: int
    capacity_per_s: float
    cost_per_hour: float


@dataclass(frozen=True, slots=True)
class BindingLimit:
    """A limit that the plan exhausts.

    `marginal_price_per_hour` [currency/h] is the relaxation's dual: what one more unit would save, 0 when the
    relaxation does not feel it.
    """

    name: str
    marginal_price_per_hour: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The cheapest replicas found for one LLM.

    Attributes
    ----------
    status
        How far the solver got.
    allocations
        One line per variant, zeros included.
    need_per_s
        Capacity asked for [1/s].
    served_per_s
        Capacity of the plan, at most `need_per_s` matters [1/s].
    cost_per_hour, bound_per_hour
        Cost of the plan and a proven lower bound [currency/h]; bound is None when nothing is proven.
    gap_ratio
        (cost - bound) / cost, 0 when proven optimal; None without a bound.
    binding
        Limits that the plan exhausts.
    runner_up
        The next best mix, by variant, None when there is none or it was not asked for.
    runner_up_cost_per_hour
        Its cost [currency/h].
    routing
        The routing the plan assumes.
    switching_per_hour
        Starts and stops, spread over the plan's horizon [currency/h]: not part of `cost_per_hour`, but of what was
        minimized, hence of `bound_per_hour` and `gap_ratio`.
    reason
        What stands in the way, None when nothing does.
    """

    status: SolveStatus
    allocations: tuple[Allocation, ...]
    need_per_s: float
    served_per_s: float
    cost_per_hour: float
    bound_per_hour: float | None = None
    gap_ratio: float | None = None
    binding: tuple[BindingLimit, ...] = field(default=())
    runner_up: tuple[Allocation, ...] | None = None
    runner_up_cost_per_hour: float | None = None
    routing: Routing = Routing.UNIFORM
    switching_per_hour: float = 0.0
    reason: Reason | None = None
