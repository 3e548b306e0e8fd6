"""What `decide` is told once rather than every cycle: models, accelerators, limits and its knobs. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field

from optimizer.domain.accelerator import Accelerator
from optimizer.domain.limit import Limit
from optimizer.domain.model import ServedModel
from optimizer.domain.variant import Variant


@dataclass(frozen=True, slots=True)
class DecisionSettings:
    """The knobs of deciding, each with the reason for its default.

    Attributes
    ----------
    period_s
        Time between two decisions [s].
    actuation_delay_s
        Longest time from publishing a number to somebody acting on it [s]; HPA looks every 15 s.
    stale_after_s
        Age at which a page no longer counts as data [s]: four missed scrapes at the default interval.
    calm_window_s
        A lower number is published only after the need stayed below for this long [s].
    forecast_level_ratio
        Quantile of the forecast that is planned for [0-1].
    utilization_ceiling_ratio
        Share of a replica's capacity that is planned with [0-1]; near 1 every queueing model is wrong.
    min_saving_ratio
        A mix of another composition replaces the present one only if it is cheaper by more than this [0-1].
    solver_gap_ratio
        Gap at which the solver may stop.
    solver_node_limit
        Nodes at which the solver must stop; deterministic, unlike a time limit.
    """

    period_s: float = 15.0
    actuation_delay_s: float = 15.0
    stale_after_s: float = 60.0
    calm_window_s: float = 120.0
    forecast_level_ratio: float = 0.9
    utilization_ceiling_ratio: float = 0.9
    min_saving_ratio: float = 0.02
    solver_gap_ratio: float = 0.0
    solver_node_limit: int = 10_000


@dataclass(frozen=True, slots=True)
class Settings:
    """What `decide` works with.

    Attributes
    ----------
    models
        Every served LLM; keys unique.
    accelerators
        Every accelerator type that a variant names.
    limits
        Rows that all plans together keep.
    decision
        The knobs.
    """

    models: tuple[ServedModel, ...]
    accelerators: tuple[Accelerator, ...]
    limits: tuple[Limit, ...] = ()
    decision: DecisionSettings = field(default_factory=DecisionSettings)

    def get_replica_cost_per_hour(self, variant: Variant) -> float:
        """Return the price of one replica [currency/h]."""
        if variant.cost_per_hour is not None:
            return variant.cost_per_hour
        prices = {accelerator.name: accelerator.cost_per_hour for accelerator in self.accelerators}
        return prices[variant.accelerator] * variant.accelerators_per_replica
