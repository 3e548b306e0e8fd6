"""Our policy: the capacity that the forecast demand needs within the SLO, for the solver to meet at least cost.

    need(H_v) = max( M, u * (M + W / 60 s) ),   M = forecast of the highest rate over H_v
    H_v = lead time of v;  u = utilization ceiling
    W = requests waiting - what the ready replicas clear before a new one could be there

The ceiling keeps 1 - u of every replica free; a backlog is paid out of that before more is asked for. It plans nothing
itself and reads no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from optimizer.demand import Forecaster, RobustForecaster, find_routing
from optimizer.domain import (
    WHOLE,
    CapacityEntry,
    CapacityTable,
    ClassSourceKind,
    DecisionSettings,
    Need,
    NeedEntry,
    Observation,
    Reason,
    ReasonCode,
    Routing,
    ServedModel,
    Settings,
    VariantKey,
)
from optimizer.policy.lead_time import compute_lead_time_s
from optimizer.policy.options import OptionReader
from optimizer.policy.protocol import CapacityNeed, ModelView, PolicyState, VariantView
from optimizer.queueing import CapacityEstimate, estimate_capacity

BACKLOG_CLEARED_IN_S = 60.0
"""Time in which a backlog is to be gone once the replicas asked for are ready [s].

Those who wait longer than a TTFT target have missed it already; what counts is that the queue ends and those who come
later do not join it. A shorter time would multiply the ask after every step.
"""


@dataclass(frozen=True, slots=True)
class SloPolicy:
    """Forecast, capacity, need; see the module. Its memory is the routing it last saw measured."""

    forecaster: Forecaster = field(default_factory=RobustForecaster)

    def check_options(self, model: ServedModel) -> None:
        """Refuse any option: promises, speeds and knobs stand where they belong to; see `OptionsChecker`."""
        OptionReader(model.policy_options).finish()

    def propose(
        self, view: ModelView, state: PolicyState, now_s: float, settings: Settings
    ) -> tuple[CapacityNeed, PolicyState]:
        """Return the need of `view` at `now_s` [s]; see `Policy`."""
        del now_s  # time enters through the history alone
        estimates = estimate_capacities(view)
        table = to_capacity_table(estimates)
        routing, measured = _choose_routing(view, table, state)
        horizons_s = _list_lead_times_s(view, table, settings.decision)
        level_ratio = settings.decision.forecast_level_ratio
        rates_per_s = self.forecaster.forecast(view.history, horizons_s, (level_ratio,))[:, 0].tolist()
        backlog_per_s = _compute_backlog_per_s(view, table)
        ceiling_ratio = settings.decision.utilization_ceiling_ratio
        entries = [
            entry
            for horizon_s, rate_per_s in zip(horizons_s, rates_per_s, strict=True)
            for entry in _split_classes(
                view.model, horizon_s, max(rate_per_s, ceiling_ratio * (rate_per_s + backlog_per_s))
            )
        ]
        forecast = Observation(max(rates_per_s)) if rates_per_s else _explain_no_forecast()
        proposal = CapacityNeed(Need(tuple(entries)), table, routing, forecast, estimates)
        return proposal, {} if measured is None else {"measured_routing": measured.value}


def estimate_capacities(view: ModelView) -> dict[VariantKey, CapacityEstimate]:
    """Return what one replica of each variant of `view` carries of its workload, or why that is not known."""
    if view.workload is None:
        reason = view.workload_reason or Reason(ReasonCode.NO_DATA, "token lengths are not known")
        return {line.key: CapacityEstimate(Observation(reason=reason), None, "", (), reason) for line in view.variants}
    return {
        line.key: estimate_capacity(
            line.variant, view.workload, view.model.service_classes, _get_kv_capacity_tokens(line)
        )
        for line in view.variants
    }


def to_capacity_table(estimates: Mapping[VariantKey, CapacityEstimate]) -> CapacityTable:
    """Return the table of those capacities that are known."""
    known = ((key, estimate.capacity_per_s.value) for key, estimate in estimates.items())
    return CapacityTable(tuple(CapacityEntry(key, value) for key, value in known if value is not None))


def _get_kv_capacity_tokens(line: VariantView) -> float | None:
    if line.kv_capacity_tokens is not None:
        return line.kv_capacity_tokens
    return None if line.variant.performance is None else line.variant.performance.kv_capacity_tokens


def _choose_routing(view: ModelView, table: CapacityTable, state: PolicyState) -> tuple[Routing, Routing | None]:
    """Return the routing to assume, and the last one that was measured: a router does not change by being unseen."""
    capacities_per_s = {entry.key.variant: entry.capacity_per_s for entry in table.entries}
    measured = find_routing(view.shares, capacities_per_s)
    if measured is None and state.get("measured_routing") in (Routing.UNIFORM, Routing.WEIGHTED):
        measured = Routing(state["measured_routing"])
    if view.model.routing is not Routing.AUTO:
        return view.model.routing, measured
    return measured or Routing.UNIFORM, measured


def _list_lead_times_s(view: ModelView, table: CapacityTable, decision: DecisionSettings) -> tuple[float, ...]:
    """Return the distinct lead times of the variants that can be grown [s], ascending."""
    usable = [line for line in view.variants if table.get(line.key) and line.variant.max_replicas != 0]
    lines = usable or view.variants
    return tuple(sorted({compute_lead_time_s(line.variant, decision) for line in lines}))


def _compute_backlog_per_s(view: ModelView, table: CapacityTable) -> float:
    """Return the extra rate that clears what waits and will still wait when a new replica could be ready [1/s]."""
    waiting_requests = view.demand.waiting_requests or 0.0
    if waiting_requests <= 0.0:
        return 0.0
    ready_per_s = sum((table.get(line.key) or 0.0) * line.state.ready_replicas for line in view.variants)
    spare_per_s = max(ready_per_s - (view.demand.rate_per_s.value or 0.0), 0.0)
    soonest_s = min(line.variant.startup_s for line in view.variants)
    return max(waiting_requests - spare_per_s * soonest_s, 0.0) / BACKLOG_CLEARED_IN_S


def _split_classes(model: ServedModel, lead_time_s: float, rate_per_s: float) -> list[NeedEntry]:
    """Return the need of one lead time by class where the classes are told apart by shares, else of all together."""
    classes = model.service_classes
    if len(classes) == 1:
        return [NeedEntry(lead_time_s, rate_per_s, classes[0].name, WHOLE, classes[0].priority)]
    if any(entry.source.kind is not ClassSourceKind.SHARE for entry in classes):
        return [NeedEntry(lead_time_s, rate_per_s, WHOLE, WHOLE, max(entry.priority for entry in classes))]
    weights = [entry.source.share_ratio or 0.0 for entry in classes]
    total_ratio = sum(weights)
    return [
        NeedEntry(lead_time_s, rate_per_s * weight / total_ratio, entry.name, WHOLE, entry.priority)
        for entry, weight in zip(classes, weights, strict=True)
        if weight > 0.0
    ]


def _explain_no_forecast() -> Observation:
    return Observation.absent(ReasonCode.NO_DATA, "there is no variant to forecast for")
