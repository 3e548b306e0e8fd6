"""Which pod should go first: the annotation that ReplicaSets obey, from the requests each pod runs. Pure.

The cost is the binary order of magnitude of the running requests (0, 1, 2-3, 4-7, ... are 0, 1, 2, 3, ...), so that a
pod is written to when its load has changed by a factor of two, and not at every pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from optimizer.domain import PodKey, PodPhase, PodState

ANNOTATION = "controller.kubernetes.io/pod-deletion-cost"
COSTED_KINDS = frozenset({"Deployment", "ReplicaSet", "Rollout"})
"""Kinds whose pods ReplicaSets own; others remove pods by their number."""


@dataclass(frozen=True, slots=True)
class CostChange:
    """One pod whose cost is to be written."""

    pod: PodKey
    cost: int


def compute_cost(running_requests: float) -> int:
    """Return the cost of removing a pod that runs so many requests, >= 0."""
    return math.ceil(max(running_requests, 0.0)).bit_length()


def find_cost_changes(pods: Iterable[PodState], written: Mapping[PodKey, int]) -> tuple[CostChange, ...]:
    """Return the pods whose cost differs from what was written last, the idlest first.

    Parameters
    ----------
    pods
        Of one workload. Only ready ones whose running requests are known count: the others go first anyway, or nobody
        can tell.
    written
        Costs by pod; a pod not in it has an unknown one.
    """
    costs = {
        pod.pod: compute_cost(pod.running_requests)
        for pod in pods
        if pod.phase is PodPhase.READY and pod.running_requests is not None
    }
    if len(costs) < 2:
        return ()
    changes = [CostChange(pod, cost) for pod, cost in costs.items() if written.get(pod) != cost]
    return tuple(sorted(changes, key=lambda change: (change.cost, change.pod)))
