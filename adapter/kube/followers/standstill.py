"""Workloads that nobody would add a replica to, whatever our number says: they are planned around. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from adapter.cluster import ClusterView, Standstill
from adapter.kube.followers.judging import judge_following
from adapter.kube.followers.obstacles import ObstacleCode
from optimizer.domain import WorkloadRef

LASTS_AFTER_S = 60.0
"""An autoscaler that is made anew, or comes a little after its workload, is none that is missing [s]."""

_STANDING = frozenset(
    {
        ObstacleCode.NO_AUTOSCALER,
        ObstacleCode.PAUSED,
        ObstacleCode.PUT_TO_ZERO_BY_HAND,
        ObstacleCode.CANNOT_WAKE,
        ObstacleCode.SCALE_UP_DISABLED,
    }
)
"""What keeps every higher number from being followed; one that scales by something else may yet add replicas."""


def find_standstills(
    view: ClusterView, zeroed_by: Mapping[WorkloadRef, str], *, kubernetes_minor: int, patches_zero: bool
) -> dict[WorkloadRef, Standstill]:
    """Return the workloads that stand still, and why; what is not known of is not among them.

    Parameters
    ----------
    view
        The cluster.
    zeroed_by
        Who put which workload to zero, as recorded.
    kubernetes_minor
        Of the control plane, 37 for 1.37.
    patches_zero
        Whether we may step between 0 and 1 ourselves.
    """
    found = {}
    for facts in view.variants:
        entry = view.inventory.get(facts.workload)
        requested = None if entry is None else entry.requested_replicas
        if requested is None:
            continue
        followers, by = view.followers.get(facts.workload, ()), zeroed_by.get(facts.workload, "")
        verdict = judge_following(
            requested + 1,
            requested,
            followers,
            workload=facts.workload,
            kubernetes_minor=kubernetes_minor,
            zero_by_patch=patches_zero,
            zeroed_by=by,
        )
        obstacle = next((it for it in verdict.obstacles if it.code in _STANDING), None)
        if obstacle is not None:
            is_by_hand = requested == 0 and not by
            found[facts.workload] = Standstill(requested, obstacle.message, not followers and not is_by_hand)
    return found


class StandstillMemory:
    """Knows since when workloads stand still."""

    def __init__(self) -> None:
        self._since_s: dict[WorkloadRef, float] = {}

    def keep_lasting(self, found: Mapping[WorkloadRef, Standstill], now_s: float) -> dict[WorkloadRef, Standstill]:
        """Return those of `found` that have been among them for `LASTS_AFTER_S` at `now_s` [s]."""
        self._since_s = {workload: self._since_s.get(workload, now_s) for workload in found}
        return {key: it for key, it in found.items() if now_s - self._since_s[key] >= LASTS_AFTER_S}
