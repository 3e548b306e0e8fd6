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
    """Return the pods whose cost differs from what was written last, the busiest first: they have most to lose.

    Parameters
    ----------
    pods
        Of one workload. Those that are not ready go first anyway; a ready one whose running requests nobody can tell
        counts as busy as the busiest.
    written
        Costs by pod; a pod not in it has an unknown one.
    """
    ready = {pod.pod: pod.running_requests for pod in pods if pod.phase is PodPhase.READY}
    known = {pod: compute_cost(running) for pod, running in ready.items() if running is not None}
    if len(ready) < 2 or not known:
        return ()
    costs = {pod: known.get(pod, max(known.values())) for pod in ready}
    changes = [CostChange(pod, cost) for pod, cost in costs.items() if written.get(pod) != cost]
    return tuple(sorted(changes, key=lambda change: (-change.cost, change.pod)))
