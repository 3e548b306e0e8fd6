"""Decisions to VariantDecision objects: names, labels, owner, spec and status. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adapter.cluster import Trouble, VariantFacts
from adapter.kube.client import FIELD_MANAGER, Json
from adapter.kube.decisions.conditions import (
    ACCEPTED,
    LONGEST_MESSAGE,
    judge_troubles,
    render_condition,
    render_conditions,
    render_reason,
)
from adapter.kube.decisions.installation import (
    INSTALLATION_LABEL,
    Installation,
    get_object_name,
    get_refusal_name,
)
from adapter.kube.decisions.record import DecisionRecord
from adapter.kube.resource import VARIANT_DECISIONS
from adapter.kube.wire_times import render_micro_time, render_time
from optimizer.domain import Override, Role, WorkloadRef

_COST_DIGITS = 6
_VARIANT_FIELDS = ("modelId", "variant", "role", "accelerator")


def encode_head(record: DecisionRecord, uid: str) -> Json:
    """Return the object of `record` without its status; `uid` is the workload's, "" when not known.

    With its workload as owner the object goes when the workload goes.
    """
    key, decision = record.decision.key, record.decision
    spec = {
        "modelId": key.model_id,
        "variant": key.variant,
        "role": key.role.value,
        "accelerator": decision.accelerator,
    }
    return _make_head(get_object_name(decision.workload), decision.workload, uid, record.installation, spec)


def encode_refusal_head(
    workload: WorkloadRef, facts: VariantFacts | None, installation: Installation, refused: Json | None = None
) -> Json:
    """Return the object by which `installation` says that it may not decide about `workload`, without its status.

    `refused` is the object that it would have made otherwise, None where it does not know enough for one.
    """
    told = {} if refused is None else refused["spec"]
    spec = {name: told[name] for name in _VARIANT_FIELDS if name in told} or {
        "modelId": (facts and facts.model_id) or "",
        "variant": (facts and facts.variant) or workload.name,
        "role": (facts.roles[0] if facts and facts.roles else Role.BOTH).value,
        "accelerator": (facts and facts.accelerator) or "",
    }
    return _make_head(
        get_refusal_name(workload, installation), workload, facts.uid if facts else "", installation, spec
    )


def _make_head(name: str, workload: WorkloadRef, uid: str, installation: Installation, spec: Json) -> Json:
    owner = {"apiVersion": workload.api_version, "kind": workload.kind, "name": workload.name, "uid": uid}
    return {
        "apiVersion": VARIANT_DECISIONS.api_version,
        "kind": VARIANT_DECISIONS.kind,
        "metadata": {
            "name": name,
            "namespace": workload.namespace,
            "labels": {"app.kubernetes.io/managed-by": FIELD_MANAGER, INSTALLATION_LABEL: installation.label},
            "ownerReferences": [owner] if uid else [],
        },
        "spec": {
            "workloadRef": {"apiVersion": workload.api_version, "kind": workload.kind, "name": workload.name},
            "installation": {"namespace": installation.namespace, "name": installation.name},
            **spec,
        },
    }


def encode_status(record: DecisionRecord, troubles: Sequence[Trouble], before: Json, now_s: float) -> Json:
    """Return the status of `record` at `now_s` [Unix s]; `before` is the status that stands there, {} for none.

    What is not known is left out. Costs are rounded to millionths, so that people can read them.
    """
    decision = record.decision
    status: dict[str, Any] = {
        "plannedReplicas": decision.planned_replicas,
        "proposedReplicas": decision.proposed_replicas,
        "requestedReplicas": decision.requested_replicas,
        "observedReplicas": decision.observed_replicas,
        "readyReplicas": decision.ready_replicas,
        "capacityPerSecond": decision.capacity_per_s.value,
        "capacityOrigin": None if decision.capacity_origin is None else decision.capacity_origin.value,
        "replicaCostPerHour": decision.replica_cost_per_hour,
        "costPerHour": round(decision.planned_replicas * decision.replica_cost_per_hour, _COST_DIGITS),
        "reason": render_reason(decision.reason),
        "modelReason": render_reason(record.model_reason),
        "routing": record.routing.value,
        "hold": None if decision.hold is None else render_reason(decision.hold.reason),
        "override": None if decision.override is None else _encode_override(decision.override),
        "decidedAt": render_micro_time(record.decided_at_s),
        "zeroedBy": record.zeroed_by or None,
        "obstacles": [
            {"code": entry.code, "message": entry.message[:LONGEST_MESSAGE], "remedy": entry.remedy[:LONGEST_MESSAGE]}
            for entry in record.obstacles
        ],
        "conditions": render_conditions(record.conditions, troubles, before.get("conditions", []), now_s),
    }
    return {name: value for name, value in status.items() if value is not None}


def encode_refusal_status(troubles: Sequence[Trouble], before: Json, now_s: float) -> Json:
    """Return the status that tells at `now_s` [Unix s] why there is no decision: `troubles`, at least one of them."""
    reason = judge_troubles(troubles)
    assert reason is not None
    conditions = [render_condition(ACCEPTED, False, reason, before.get("conditions", []), now_s)]
    return {"reason": render_reason(reason), "conditions": conditions}


def _encode_override(override: Override) -> Json:
    document: dict[str, Any] = {
        "mode": override.mode.value,
        "replicas": override.replicas,
        "by": override.by or None,
        "until": None if override.until_s is None else _render_until(override.until_s),
        "source": override.source,
    }
    return {name: value for name, value in document.items() if value is not None}


def _render_until(until_s: float) -> str:
    """Return an end as people write it: in whole seconds where it is one."""
    return render_time(until_s) if until_s == int(until_s) else render_micro_time(until_s)
