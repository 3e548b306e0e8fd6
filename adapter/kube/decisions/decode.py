"""VariantDecision objects to decisions, as any replica reads them. No I/O.

Objects may come from an older or a newer program: what is not known is passed over, what is missing is not told.
"""

from __future__ import annotations

import math
from typing import Any

from adapter.cluster import Obstacle
from adapter.errors import BadDocument
from adapter.kube.client import Json
from adapter.kube.decisions.conditions import parse_conditions, parse_reason
from adapter.kube.decisions.installation import Installation, get_object_name
from adapter.kube.decisions.record import NOT_TOLD, DecisionRecord
from adapter.kube.wire_times import parse_time_s
from optimizer.domain import (
    Hold,
    Observation,
    Override,
    OverrideMode,
    ProfileOrigin,
    Role,
    Routing,
    VariantDecision,
    VariantKey,
    WorkloadRef,
)


def decode_object(item: Json) -> DecisionRecord | None:
    """Return what a VariantDecision tells; None where it carries no decision: a refusal, or its status is yet to come.

    Raises
    ------
    BadDocument
        Naming the object and what of it cannot be read.
    """
    try:
        workload = decode_workload(item)
        status = _get(item, "status", dict, {})
        if "plannedReplicas" not in status or item["metadata"]["name"] != get_object_name(workload):
            return None
        return _decode(item, workload, status)
    except (BadDocument, KeyError, TypeError, ValueError) as cause:
        about = item.get("metadata") or {}
        name = f"VariantDecision {about.get('namespace')}/{about.get('name')}"
        raise BadDocument(f"{name} cannot be read: {type(cause).__name__}: {cause}") from cause


def decode_installation(item: Json) -> Installation | None:
    """Return whose object this is, None where it does not say."""
    told = (item.get("spec") or {}).get("installation") or {}
    namespace, name = told.get("namespace"), told.get("name")
    return Installation(namespace, name) if isinstance(namespace, str) and isinstance(name, str) else None


def decode_workload(item: Json) -> WorkloadRef:
    """Return the workload an object is about.

    Raises
    ------
    BadDocument, KeyError
        When it names none.
    """
    told = item["spec"]["workloadRef"]
    name, kind, api_version = (_get(told, field, str) for field in ("name", "kind", "apiVersion"))
    return WorkloadRef(_get(item["metadata"], "namespace", str), name, kind, api_version)


def _decode(item: Json, workload: WorkloadRef, status: Json) -> DecisionRecord:
    spec, installation = item["spec"], decode_installation(item)
    if installation is None:
        raise BadDocument("spec.installation is missing")
    role = Role(_get(spec, "role", str, Role.BOTH.value))
    key = VariantKey(workload.namespace, _get(spec, "modelId", str), _get(spec, "variant", str), role)
    return DecisionRecord(
        installation=installation,
        decision=_decode_decision(key, workload, _get(spec, "accelerator", str, ""), status),
        decided_at_s=parse_time_s(status["decidedAt"]),
        model_reason=parse_reason(status.get("modelReason", status["reason"])),
        routing=_find_member(Routing, status.get("routing")) or Routing.UNIFORM,
        conditions=parse_conditions(status.get("conditions", [])),
        obstacles=tuple(_decode_obstacle(entry) for entry in _get(status, "obstacles", list, [])),
        zeroed_by=_get(status, "zeroedBy", str, ""),
    )


def _decode_decision(key: VariantKey, workload: WorkloadRef, accelerator: str, status: Json) -> VariantDecision:
    return VariantDecision(
        key=key,
        workload=workload,
        accelerator=accelerator,
        proposed_replicas=_get_count(status, "proposedReplicas"),
        planned_replicas=_require_count(status, "plannedReplicas"),
        requested_replicas=_get_count(status, "requestedReplicas"),
        observed_replicas=_require_count(status, "observedReplicas"),
        ready_replicas=_require_count(status, "readyReplicas"),
        capacity_per_s=NOT_TOLD
        if "capacityPerSecond" not in status
        else Observation(_get_float(status, "capacityPerSecond")),
        capacity_origin=_find_member(ProfileOrigin, status.get("capacityOrigin")),
        replica_cost_per_hour=_get_float(status, "replicaCostPerHour"),
        reason=parse_reason(status["reason"]),
        hold=Hold(parse_reason(status["hold"])) if "hold" in status else None,
        override=_decode_override(status["override"]) if "override" in status else None,
    )


def _decode_override(plain: Json) -> Override:
    until = plain.get("until")
    return Override(
        mode=OverrideMode(plain["mode"]),
        replicas=_get_count(plain, "replicas"),
        by=_get(plain, "by", str, ""),
        until_s=None if until is None else parse_time_s(until),
        source=_get(plain, "source", str, "configuration"),
    )


def _decode_obstacle(plain: Json) -> Obstacle:
    return Obstacle(_get(plain, "code", str), _get(plain, "message", str, ""), _get(plain, "remedy", str, ""))


def _find_member(kind: type[Any], value: object) -> Any:
    """Return the member of an enum, None for none or one that this program does not know."""
    return next((member for member in kind if member.value == value), None)


def _get(document: object, field: str, kind: type[Any], default: Any = None) -> Any:
    value = document.get(field, default) if isinstance(document, dict) else None
    if type(value) is not kind:
        raise BadDocument(f"{field} must be {kind.__name__}, got {value!r}")
    return value


def _get_count(document: Json, field: str) -> int | None:
    return _require_count(document, field) if field in document else None


def _require_count(document: Json, field: str) -> int:
    count: int = _get(document, field, int)
    if count < 0:
        raise BadDocument(f"{field} must be >= 0, got {count}")
    return count


def _get_float(document: Json, field: str) -> float:
    value = document.get(field)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadDocument(f"{field} must be a finite number, got {value!r}")
    return float(value)
