"""What was done to one workload, or why not, and who put which workload to zero. Data only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from optimizer.domain import WorkloadRef

ZEROED_BY_US = "variant-autoscaler"
ZEROED_BY_HPA = "HorizontalPodAutoscaler"


class ActionKind(StrEnum):
    """What became of it."""

    SCALED = "Scaled"  # the published number is asked for
    PUT_TO_ZERO = "PutToZero"
    WOKEN = "Woken"
    BRIDGED = "Bridged"  # a step that the autoscaler's dead band would have lost
    RECORDED = "Recorded"  # only `zeroed_by` is new
    COSTS_SET = "CostsSet"  # which pods go first
    REFUSED = "Refused"  # not ours to do; a person should know
    POSTPONED = "Postponed"  # somebody changed the workload at the same moment; the next pass looks again
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing done, or not done, about one workload.

    Attributes
    ----------
    workload
        Whom it concerns.
    kind
        What became of it.
    message
        In one sentence.
    from_replicas, to_replicas
        Replicas asked for before and after; None where they were not touched.
    zeroed_by
        Who put the workload to zero, to be recorded from now on; "" forgets, None leaves what is recorded.
    """

    workload: WorkloadRef
    kind: ActionKind
    message: str
    from_replicas: int | None = None
    to_replicas: int | None = None
    zeroed_by: str | None = None


def record_zeroes(zeroed_by: Mapping[WorkloadRef, str], actions: Iterable[Action]) -> dict[WorkloadRef, str]:
    """Return `zeroed_by` after `actions`: who put which workload to zero; a workload not named was never put there."""
    recorded = dict(zeroed_by)
    for action in actions:
        if action.zeroed_by is not None:
            recorded[action.workload] = action.zeroed_by
    return {workload: who for workload, who in recorded.items() if who}
