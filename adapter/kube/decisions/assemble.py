"""From the objects of all variants and the heartbeat back to decisions about LLMs. No I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from adapter.kube.decisions.heartbeat import Heartbeat
from adapter.kube.decisions.record import NOT_TOLD, DecisionRecord
from optimizer.domain import ConditionType, ModelDecision, ModelKey


def assemble_models(records: Iterable[DecisionRecord], heartbeat: Heartbeat | None) -> tuple[ModelDecision, ...]:
    """Return the decisions that `records` tell, by namespace and LLM.

    Every number is the one that was told. Figures that no object carries are absent, with their reason. A decision is
    as old as the heartbeat says, but never older than the oldest of its objects, which are written on change only.
    """
    by_model: dict[ModelKey, list[DecisionRecord]] = defaultdict(list)
    for record in records:
        by_model[record.model_key].append(record)
    return tuple(_assemble(key, by_model[key], heartbeat) for key in sorted(by_model))


def _assemble(key: ModelKey, records: Sequence[DecisionRecord], heartbeat: Heartbeat | None) -> ModelDecision:
    newest = max(records, key=_get_decided_at_s)
    told_s = min(record.decided_at_s for record in records)
    variants = tuple(sorted((record.decision for record in records), key=lambda decision: decision.key))
    return ModelDecision(
        key=key,
        decided_at_s=told_s if heartbeat is None else heartbeat.get_decided_at_s(key, told_s),
        variants=variants,
        demand_per_s=NOT_TOLD,
        forecast_per_s=NOT_TOLD,
        need_per_s=None,
        coverage_ratio=None,
        utilization_ratio=None,
        cost_per_hour=sum(entry.planned_replicas * entry.replica_cost_per_hour for entry in variants),
        routing=newest.routing,
        plan=None,
        reason=newest.model_reason,
        conditions=tuple(entry for entry in newest.conditions if entry.type is not ConditionType.FOLLOWING),
    )


def _get_decided_at_s(record: DecisionRecord) -> float:
    return record.decided_at_s
