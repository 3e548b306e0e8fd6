"""The published decisions as Prometheus metrics, made anew from the store at every read. No I/O of its own."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from adapter.clock import Clock
from adapter.pages.traffic_metrics import collect_traffic
from adapter.store import DecisionStore, Series
from optimizer.domain import Condition, ModelDecision

_VARIANT_LABELS = ("namespace", "deployment", "kind", "model_name", "variant", "role", "accelerator")
_MODEL_LABELS = ("namespace", "model_name")


class FleetMetrics(Collector):
    """Yields a consistent set of families for one publication."""

    def __init__(self, store: DecisionStore, clock: Clock) -> None:
        self._store, self._clock = store, clock

    def describe(self) -> list[Metric]:
        """Return nothing: the families depend on what is published."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        publication = self._store.get()
        yield from _collect_variants(publication.series, may_act=self._store.find_obstacle() is None)
        yield from _collect_models(publication.models, self._clock.now_s())
        yield from collect_traffic(publication.traffic)


def _variant_family(name: str, documentation: str, *more_labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, labels=[*_VARIANT_LABELS, *more_labels])


def _collect_variants(all_series: tuple[Series, ...], *, may_act: bool) -> Iterator[Metric]:
    planned = _variant_family("deployment_replicas", "Replicas this workload should have: the number HPA follows.")
    shadow = _variant_family("variant_autoscaler_shadow_replicas", "What would be published, were it not in shadow.")
    requested = _variant_family("variant_autoscaler_requested_replicas", "Replicas in scale.spec when deciding.")
    observed = _variant_family("variant_autoscaler_observed_replicas", "Replicas that existed when deciding.")
    ready = _variant_family("variant_autoscaler_ready_replicas", "Replicas that served when deciding.")
    capacity = _variant_family(
        "variant_autoscaler_capacity_requests_per_second", "Largest rate one replica carries within the SLO."
    )
    cost = _variant_family("variant_autoscaler_replica_cost_per_hour", "Price of one replica, in currency per hour.")
    reason = _variant_family("variant_autoscaler_reason_info", "Why the number is what it is; always 1.", "reason")
    overridden = _variant_family(
        "variant_autoscaler_override_info", "A person decides here: shadow, pause or pin; always 1.", "mode", "by"
    )
    held = _variant_family("variant_autoscaler_held", "1 where a proposed change is kept back; why.", "reason")
    for series in all_series:
        labels, variant = _get_variant_labels(series), series.variant
        if series.is_shadow:
            shadow.add_metric(labels, series.replicas)
        elif may_act:
            planned.add_metric(labels, series.replicas)
        observed.add_metric(labels, variant.observed_replicas)
        ready.add_metric(labels, variant.ready_replicas)
        cost.add_metric(labels, variant.replica_cost_per_hour)
        reason.add_metric([*labels, variant.reason.code.value], 1)
        if variant.requested_replicas is not None:
            requested.add_metric(labels, variant.requested_replicas)
        if variant.capacity_per_s.value is not None:
            capacity.add_metric(labels, variant.capacity_per_s.value)
        if variant.override is not None:
            overridden.add_metric([*labels, variant.override.mode.value, variant.override.by], 1)
        if variant.hold is not None:
            held.add_metric([*labels, variant.hold.reason.code.value], 1)
    yield from (planned, shadow, requested, observed, ready, capacity, cost, reason, overridden, held)


def _get_variant_labels(series: Series) -> list[str]:
    key, workload = series.variant.key, series.workload
    return [
        workload.namespace,
        workload.name,
        workload.kind,
        key.model_id,
        key.variant,
        key.role.value,
        series.variant.accelerator,
    ]


def _model_family(name: str, documentation: str, *more_labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"variant_autoscaler_{name}", documentation, labels=[*_MODEL_LABELS, *more_labels])


def _collect_models(models: tuple[ModelDecision, ...], now_s: float) -> Iterator[Metric]:
    condition = _model_family("condition", "1 true, 0 false, -1 unknown.", "type", "reason")
    figures = {
        "decision_age_seconds": _model_family("decision_age_seconds", "Time since the decision in force was made."),
        "demand_requests_per_second": _model_family("demand_requests_per_second", "Requests arriving now."),
        "forecast_requests_per_second": _model_family(
            "forecast_requests_per_second", "Highest rate expected over the longest lead time."
        ),
        "need_requests_per_second": _model_family("need_requests_per_second", "Capacity asked for, margin included."),
        "coverage_ratio": _model_family(
            "coverage_ratio", "Share of the forecast demand that the plan serves within the SLO."
        ),
        "utilization_ratio": _model_family("utilization_ratio", "Demand over ready capacity within the SLO."),
        "cost_per_hour": _model_family("cost_per_hour", "Price of the published plan, in currency per hour."),
    }
    for model in models:
        labels = [model.key.namespace, model.key.model_id]
        values = {
            "decision_age_seconds": now_s - model.decided_at_s,
            "demand_requests_per_second": model.demand_per_s.value,
            "forecast_requests_per_second": model.forecast_per_s.value,
            "need_requests_per_second": model.need_per_s,
            "coverage_ratio": model.coverage_ratio,
            "utilization_ratio": model.utilization_ratio,
            "cost_per_hour": model.cost_per_hour,
        }
        for name, value in values.items():
            if value is not None:
                figures[name].add_metric(labels, value)
        for entry in model.conditions:
            condition.add_metric([*labels, entry.type.value, entry.reason.code.value], _to_number(entry))
    yield from (*figures.values(), condition)


def _to_number(condition: Condition) -> int:
    return -1 if condition.status is None else int(condition.status)
