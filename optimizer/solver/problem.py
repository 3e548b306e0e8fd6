"""What the solver is asked: one problem per LLM. Data only; no solving here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from optimizer.domain import ModelKey, Need, Routing, VariantKey


@dataclass(frozen=True, slots=True)
class VariantLine:
    """One variant as the plan sees it.

    Attributes
    ----------
    key
        Identity.
    capacity_per_s
        What one replica carries within the SLO [1/s], as the plan may use it (derated, under the utilization ceiling);
        0 where it is not known or the target cannot be met: such a variant keeps to its bounds and serves nothing.
    cost_per_hour
        Price of one replica [currency/h].
    min_replicas, max_replicas
        Bounds; None means no bound but the limits.
    present_replicas
        Replicas that are ready or starting: moves are counted from here.
    startup_s
        Decision to ready replica [s].
    starting_s
        For those of the present replicas that are not ready: time until they are [s]. The others are ready. A time
        above `startup_s` counts as `startup_s`: a new replica is not sooner.
    start_cost_per_hour, stop_cost_per_hour
        Cost of one start and of one stop, spread over the plan's horizon [currency/h].
    """

    key: VariantKey
    capacity_per_s: float
    cost_per_hour: float
    min_replicas: int = 0
    max_replicas: int | None = None
    present_replicas: int = 0
    startup_s: float = 0.0
    starting_s: tuple[float, ...] = ()
    start_cost_per_hour: float = 0.0
    stop_cost_per_hour: float = 0.0


@dataclass(frozen=True, slots=True)
class ModelProblem:
    """The problem of one LLM.

    Attributes
    ----------
    key
        The LLM.
    lines
        Its variants.
    need
        Capacity asked for; ignored where `fixed` is given.
    routing
        Assumed of the requests; `auto` counts as `uniform`, the safe side.
    min_replicas, max_replicas
        Bounds over all variants together. The variants' lower bounds win over `max_replicas`.
    fixed
        Replicas wanted of each variant by a policy that decides counts itself; a variant that is absent wants none.
        Bounds, limits and shortage rules bind them all the same.
    priority
        In a shortage, of a problem with `fixed` replicas; needs carry their own.
    """

    key: ModelKey
    lines: tuple[VariantLine, ...]
    need: Need
    routing: Routing = Routing.AUTO
    min_replicas: int = 0
    max_replicas: int | None = None
    fixed: Mapping[VariantKey, int] | None = None
    priority: int = 0
