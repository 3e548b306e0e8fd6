"""How objects are called in findings. Text only."""

from __future__ import annotations

from adapter.cluster import Follower
from optimizer.domain import WorkloadRef


def name(workload: WorkloadRef) -> str:
    """Return how a workload is called in findings."""
    return f"{workload.kind} {workload.namespace}/{workload.name}"


def name_follower(follower: Follower) -> str:
    """Return how a follower is called in findings; it lives where its workload does."""
    return f"{follower.kind.value} {follower.workload.namespace}/{follower.name}"


def kubectl(workload: WorkloadRef, verb: str, rest: str = "") -> str:
    """Return the kubectl command that does `verb` to a workload."""
    return f"kubectl -n {workload.namespace} {verb} {workload.kind.lower()} {workload.name} {rest}".rstrip()
