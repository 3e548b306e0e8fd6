"""Decisions for tests: whole and valid, with the few fields a test is about given by name."""

from __future__ import annotations

from dataclasses import dataclass

from adapter.store import DecisionStore
from optimizer.domain import (
    Condition,
    ConditionType,
    Hold,
    ModelDecision,
    ModelKey,
    Observation,
    ProfileOrigin,
    Reason,
    ReasonCode,
    Routing,
    VariantDecision,
    VariantKey,
    WorkloadRef,
)

DECIDED_AT_S = 1_795_000_000.0  # 2026-11-18T11:06:40Z


@dataclass(slots=True)
class ManualClock:
    """A clock that moves when told."""

    time_s: float = DECIDED_AT_S
    speed: float = 1.0

    def now_s(self) -> float:
        return self.time_s

    async def sleep(self, duration_s: float) -> None:
        self.time_s += max(duration_s, 0.0)

    async def sleep_until(self, time_s: float) -> None:
        self.time_s = max(self.time_s, time_s)


def make_variant_decision(
    deployment: str,
    replicas: int,
    *,
    namespace: str = "prod",
    model_id: str = "meta-llama/Llama-3.1-8B",
    kind: str = "Deployment",
    variant: str | None = None,
    capacity_per_s: Observation | None = None,
    requested_replicas: int | None = 1,
    hold: Hold | None = None,
) -> VariantDecision:
    return VariantDecision(
        key=VariantKey(namespace, model_id, variant or deployment),
        workload=WorkloadRef(namespace, deployment, kind),
        accelerator="L40S",
        proposed_replicas=replicas,
        planned_replicas=replicas,
        requested_replicas=requested_replicas,
        observed_replicas=2,
        ready_replicas=1,
        capacity_per_s=capacity_per_s or Observation(2.5),
        capacity_origin=ProfileOrigin.PROFILE,
        replica_cost_per_hour=1.55,
        reason=Reason(ReasonCode.SCALE_UP, "need 7.5/s"),
        hold=hold,
    )


def make_model_decision(*variants: VariantDecision, decided_at_s: float = DECIDED_AT_S) -> ModelDecision:
    return ModelDecision(
        key=ModelKey(variants[0].key.namespace, variants[0].key.model_id),
        decided_at_s=decided_at_s,
        variants=variants,
        demand_per_s=Observation(6.0),
        forecast_per_s=Observation.absent(ReasonCode.NO_DATA, "no page yet"),
        need_per_s=7.5,
        coverage_ratio=1.0,
        utilization_ratio=None,
        cost_per_hour=4.65,
        routing=Routing.WEIGHTED,
        plan=None,
        reason=Reason(ReasonCode.SCALE_UP, "need 7.5/s"),
        conditions=(Condition(ConditionType.FRESH, True, Reason(ReasonCode.STEADY, "all pages are fresh")),),
    )


def make_store(*models: ModelDecision, undecided: tuple[WorkloadRef, ...] = ()) -> DecisionStore:
    store = DecisionStore()
    store.publish(models, undecided)
    return store
