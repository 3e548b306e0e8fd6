"""Replicas that find no place, and for how long plans go around that. Pure: states and times in, states out.

A pod that waits for the scheduler for longer than a node autoscaler needs is evidence that no more replicas of its
workload can be placed: the plan is bound to those that were. It then asks for fewer, the waiting pods vanish, and with
them the evidence; so the bound stays for a while, then more is tried again:

    hold(attempt) = min(5 min * 2 ** (attempt - 1), 60 min)        attempt = 1, 2, 3, ...

counted from the moment the evidence is gone. A replica more that gets ready ends it all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from adapter.cluster import AmountKind, ClusterAmount, Trouble
from adapter.config.quantities import render_duration
from adapter.kube.discovery.pods import Replica
from optimizer.domain import PodPhase, Reason, ReasonCode, WorkloadRef

FIRST_HOLD_S = 300.0
LONGEST_HOLD_S = 3600.0


@dataclass(frozen=True, slots=True)
class PlacementSight:
    """How many replicas of one workload were placed, as seen now.

    Attributes
    ----------
    placed
        Those that have a node and are not about to go.
    ready
        Those of them that serve.
    waiting
        Those that have been without a place for too long.
    why
        What the scheduler, or whoever refuses pods, says of the first of them.
    """

    placed: int
    ready: int
    waiting: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What is remembered of a workload whose replicas found no place.

    Attributes
    ----------
    placed
        Replicas that could be placed then: the bound of the plan.
    attempt
        How often more was tried in vain; what happens while the bound is in force is no attempt.
    gone_since_s
        Since when nothing waits any longer [Unix s], None while something does.
    why
        What was said.
    """

    placed: int
    attempt: int = 1
    gone_since_s: float | None = None
    why: str = ""

    @property
    def hold_s(self) -> float:
        """How long the bound stays after the evidence is gone [s]."""
        return min(FIRST_HOLD_S * 2.0 ** min(self.attempt - 1, 16), LONGEST_HOLD_S)

    def is_in_force(self, now_s: float) -> bool:
        """Whether plans are bound at `now_s` [s]."""
        return self.gone_since_s is None or now_s < self.gone_since_s + self.hold_s


def look_at_placement(
    replicas: Iterable[Replica], now_s: float, after_s: float, refusal: tuple[int, float, str] | None = None
) -> PlacementSight:
    """Return how many of `replicas` were placed at `now_s`; waiting for less than `after_s` [s] is no evidence.

    `refusal` tells of pods that could not even be made: how many, since when [Unix s], and why.
    """
    staying = [replica for replica in replicas if replica.entry.phase is not PodPhase.TERMINATING]
    waits = [(replica.waiting_since_s, replica.why) for replica in staying if replica.waiting_since_s is not None]
    late = sorted((since_s, why) for since_s, why in waits if now_s - since_s > after_s)
    missing = refusal[0] if refusal is not None and now_s - refusal[1] > after_s else 0
    placed = sum(replica.is_placed for replica in staying)
    ready = sum(replica.entry.phase is PodPhase.READY for replica in staying)
    why = late[0][1] if late else refusal[2] if refusal is not None and missing else ""
    return PlacementSight(placed, ready, len(late) + missing, why)


def step_shortfalls(
    before: Mapping[WorkloadRef, Shortfall], sights: Mapping[WorkloadRef, PlacementSight], now_s: float
) -> dict[WorkloadRef, Shortfall]:
    """Return what is to be remembered at `now_s` [s]; workloads that are not seen any longer are forgotten."""
    stepped = {workload: _step(before.get(workload), sight, now_s) for workload, sight in sights.items()}
    return {workload: shortfall for workload, shortfall in stepped.items() if shortfall is not None}


def to_amount(workload: WorkloadRef, shortfall: Shortfall) -> ClusterAmount:
    """Return the bound of plans."""
    message = f"only {shortfall.placed} replicas of {workload.kind} {workload.name} found a place: {shortfall.why}"
    return ClusterAmount(
        AmountKind.SCHEDULER, workload.name, shortfall.placed, workload.namespace, workload=workload, message=message
    )


def to_trouble(workload: WorkloadRef, sight: PlacementSight, after_s: float) -> Trouble:
    """Return what to tell people while replicas wait."""
    late = f"{sight.waiting} of {sight.waiting + sight.placed} replicas"
    message = f"{late} of {workload.kind} {workload.name} found no place within {render_duration(after_s)}: {sight.why}"
    remedy = f"kubectl -n {workload.namespace} get events --field-selector type=Warning"
    return Trouble(workload, Reason(ReasonCode.UNSCHEDULABLE, message), remedy)


def _step(before: Shortfall | None, sight: PlacementSight, now_s: float) -> Shortfall | None:
    has_grown = before is not None and sight.ready > before.placed
    if sight.waiting > 0:
        fresh = Shortfall(sight.placed, why=sight.why)
        if before is None or has_grown:
            return fresh
        is_again = not before.is_in_force(now_s)
        return replace(fresh, attempt=before.attempt + is_again)
    if before is None or has_grown:
        return None
    if before.gone_since_s is None:
        return replace(before, gone_since_s=now_s)
    is_over = now_s >= before.gone_since_s + before.hold_s + LONGEST_HOLD_S
    return None if is_over else before
