"""The inventory: which workloads and pods exist, as any discovery source tells it. Data and its JSON form; no I/O.

The document is what the embedded fleet serves and what a discovery source of kind ``http`` reads::

    {"workloads": [{"namespace": "default", "name": "llama-8b-l40s", "kind": "Deployment", "requested_replicas": 2,
                    "pods": [{"name": "llama-8b-l40s-0", "uid": "1", "url": "http://127.0.0.1:9001", "phase": "ready",
                              "created_s": 1.0, "ready_s": 11.0}]}]}
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapter.errors import BadDocument
from optimizer.domain import PodKey, PodPhase, Reason, WorkloadRef


@dataclass(frozen=True, slots=True)
class PodEntry:
    """One pod of a workload.

    Attributes
    ----------
    pod
        Identity.
    url
        Base address of its server, such as ``http://10.0.0.7:8000``; "" while it has none.
    phase
        Starting, ready or terminating.
    created_s, ready_s
        Unix seconds, None when unknown.
    """

    pod: PodKey
    url: str
    phase: PodPhase
    created_s: float | None = None
    ready_s: float | None = None


@dataclass(frozen=True, slots=True)
class WorkloadEntry:
    """One workload with its pods; `requested_replicas` is None when nobody can tell."""

    workload: WorkloadRef
    requested_replicas: int | None
    pods: tuple[PodEntry, ...]


@dataclass(frozen=True, slots=True)
class Inventory:
    """Every workload that a discovery source knows.

    `reason` says why this is an older inventory than was asked for, None when it is the newest.
    """

    workloads: tuple[WorkloadEntry, ...]
    reason: Reason | None = None

    def get(self, workload: WorkloadRef) -> WorkloadEntry | None:
        """Return the entry of `workload`, None when it is not known."""
        return next((entry for entry in self.workloads if entry.workload == workload), None)


def to_document(inventory: Inventory) -> dict[str, Any]:
    """Return the JSON form of `inventory`."""
    return {"workloads": [_to_workload(entry) for entry in inventory.workloads]}


def from_document(document: object) -> Inventory:
    """Return the inventory a JSON document tells.

    Raises
    ------
    BadDocument
        Naming the field that is missing or wrong.
    """
    try:
        workloads = document["workloads"]  # type: ignore[index]
        return Inventory(tuple(_from_workload(entry) for entry in workloads))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as cause:
        raise BadDocument(f"inventory cannot be read: {type(cause).__name__}: {cause}") from cause


def _to_workload(entry: WorkloadEntry) -> dict[str, Any]:
    pods = [
        {
            "name": pod.pod.name,
            "uid": pod.pod.uid,
            "url": pod.url,
            "phase": pod.phase.value,
            "created_s": pod.created_s,
            "ready_s": pod.ready_s,
        }
        for pod in entry.pods
    ]
    return {
        "namespace": entry.workload.namespace,
        "name": entry.workload.name,
        "kind": entry.workload.kind,
        "api_version": entry.workload.api_version,
        "requested_replicas": entry.requested_replicas,
        "pods": pods,
    }


def _from_workload(entry: Mapping[str, Any]) -> WorkloadEntry:
    kind, api_version = entry.get("kind", "Deployment"), entry.get("api_version", "apps/v1")
    workload = WorkloadRef(_to_text(entry["namespace"]), _to_text(entry["name"]), _to_text(kind), _to_text(api_version))
    requested = entry.get("requested_replicas")
    if requested is not None and (isinstance(requested, bool) or not isinstance(requested, int) or requested < 0):
        raise ValueError(f"requested_replicas must be a whole number >= 0 or null, got {requested!r}")
    return WorkloadEntry(workload, requested, tuple(_from_pod(workload.namespace, pod) for pod in entry["pods"]))


def _from_pod(namespace: str, pod: Mapping[str, Any]) -> PodEntry:
    key = PodKey(namespace, _to_text(pod["name"]), _to_text(pod.get("uid", "")))
    created_s, ready_s = _to_seconds(pod.get("created_s")), _to_seconds(pod.get("ready_s"))
    return PodEntry(key, _to_text(pod.get("url", "")), PodPhase(pod["phase"]), created_s, ready_s)


def _to_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text expected, got {value!r}")
    return value


def _to_seconds(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"seconds must be a finite number or null, got {value!r}")
    return float(value)
