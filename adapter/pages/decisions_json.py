"""Decisions as JSON values, every figure and reason included. Data only; no I/O."""

from __future__ import annotations

from adapter.pages.values_json import Json, render_observation, render_reason
from optimizer.domain import Allocation, ModelDecision, Override, Plan, VariantDecision


def to_json(decision: ModelDecision, now_s: float) -> Json:
    """Return `decision` as JSON, its age told by `now_s` [Unix s]; what is not known is null beside its reason."""
    return {
        "namespace": decision.key.namespace,
        "model": decision.key.model_id,
        "decided_at_s": decision.decided_at_s,
        "age_s": now_s - decision.decided_at_s,
        "reason": render_reason(decision.reason),
        "demand_per_s": render_observation(decision.demand_per_s),
        "forecast_per_s": render_observation(decision.forecast_per_s),
        "need_per_s": decision.need_per_s,
        "coverage_ratio": decision.coverage_ratio,
        "utilization_ratio": decision.utilization_ratio,
        "cost_per_hour": decision.cost_per_hour,
        "routing": decision.routing.value,
        "conditions": [
            {"type": entry.type.value, "status": entry.status, "reason": render_reason(entry.reason)}
            for entry in decision.conditions
        ],
        "variants": [_to_variant(variant) for variant in decision.variants],
        "plan": None if decision.plan is None else _to_plan(decision.plan),
    }


def _to_variant(variant: VariantDecision) -> Json:
    return {
        "variant": variant.key.variant,
        "role": variant.key.role.value,
        "kind": variant.workload.kind,
        "deployment": variant.workload.name,
        "accelerator": variant.accelerator,
        "proposed_replicas": variant.proposed_replicas,
        "planned_replicas": variant.planned_replicas,
        "requested_replicas": variant.requested_replicas,
        "observed_replicas": variant.observed_replicas,
        "ready_replicas": variant.ready_replicas,
        "capacity_per_s": render_observation(variant.capacity_per_s),
        "capacity_origin": None if variant.capacity_origin is None else variant.capacity_origin.value,
        "replica_cost_per_hour": variant.replica_cost_per_hour,
        "reason": render_reason(variant.reason),
        "hold": None if variant.hold is None else render_reason(variant.hold.reason),
        "override": None if variant.override is None else _to_override(variant.override),
    }


def _to_override(override: Override) -> Json:
    return {
        "mode": override.mode.value,
        "replicas": override.replicas,
        "by": override.by,
        "until_s": override.until_s,
        "source": override.source,
    }


def _to_plan(plan: Plan) -> Json:
    return {
        "status": plan.status.value,
        "need_per_s": plan.need_per_s,
        "served_per_s": plan.served_per_s,
        "cost_per_hour": plan.cost_per_hour,
        "bound_per_hour": plan.bound_per_hour,
        "gap_ratio": plan.gap_ratio,
        "replicas": _to_replicas(plan.allocations),
        "binding_limits": [
            {"name": limit.name, "marginal_price_per_hour": limit.marginal_price_per_hour} for limit in plan.binding
        ],
        "runner_up": None if plan.runner_up is None else _to_replicas(plan.runner_up),
        "runner_up_cost_per_hour": plan.runner_up_cost_per_hour,
    }


def _to_replicas(allocations: tuple[Allocation, ...]) -> dict[str, int]:
    return {line.key.variant: line.replicas for line in allocations}
