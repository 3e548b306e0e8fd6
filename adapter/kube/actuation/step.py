"""What to ask of ``/scale`` of one workload, if anything. Pure: a situation in, one step or none out.

Zero is recorded before it is asked for, one pass ahead: whoever starts after a crash in between still knows that the
workload was put to zero by us and may be woken by us. What a person put to zero stays there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adapter.cluster import Follower
from adapter.kube.actuation.action import ZEROED_BY_HPA, ZEROED_BY_US, ActionKind
from adapter.kube.followers import can_wake_by_hpa, goes_to_zero_by_patch, is_bridgeable
from optimizer.domain import WorkloadRef


@dataclass(frozen=True, slots=True)
class Permission:
    """What we may do to one workload.

    Attributes
    ----------
    kubernetes_minor
        Of the control plane, 37 for 1.37.
    scales
        Set the replicas ourselves where nobody else does (``actuation: scale``).
    patches_zero
        Step between 0 and 1 where its autoscaler cannot.
    bridges_tolerance
        Take the steps that the dead band of its autoscaler loses.
    """

    kubernetes_minor: int
    scales: bool = False
    patches_zero: bool = False
    bridges_tolerance: bool = False


@dataclass(frozen=True, slots=True)
class Situation:
    """One workload at one moment.

    Attributes
    ----------
    workload
        Whom it concerns.
    planned
        The published number.
    requested, existing
        Replicas asked for, and replicas that exist, ready or not.
    followers
        Who else sets its replicas.
    zeroed_by
        Who put it to zero, as recorded; "" for a person, or nobody.
    """

    workload: WorkloadRef
    planned: int
    requested: int
    existing: int
    followers: Sequence[Follower]
    zeroed_by: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What to do: `replicas` to ask for (None: nothing), and `zeroed_by` to record (None: as it is)."""

    kind: ActionKind
    message: str
    replicas: int | None = None
    zeroed_by: str | None = None


def find_step(situation: Situation, permission: Permission) -> Step | None:
    """Return the one step to take now, None for none."""
    return _find_scale_step(situation, permission) or _find_record_step(situation)


def _find_scale_step(now: Situation, permission: Permission) -> Step | None:
    if permission.scales:
        return _refuse_company(now) if now.followers else _step_alone(now)
    if len(now.followers) != 1:
        return None
    if permission.patches_zero:
        step = _step_around_zero(now, now.followers[0], permission)
        if step is not None:
            return step
    if permission.bridges_tolerance and _is_step_lost(now, now.followers[0]):
        message = f"from {now.requested} to {now.planned} replicas: {now.followers[0].name} ignores so small a step"
        return Step(ActionKind.BRIDGED, message, now.planned)
    return None


def _find_record_step(now: Situation) -> Step | None:
    """Return what to record of zeroes that others make, and that are over."""
    if now.requested == 0 and not now.zeroed_by and any(follower.has_scaled_to_zero for follower in now.followers):
        return Step(ActionKind.RECORDED, "its autoscaler put it to zero", zeroed_by=ZEROED_BY_HPA)
    if now.requested > 0 and now.zeroed_by and (now.planned > 0 or now.zeroed_by == ZEROED_BY_HPA):
        return Step(ActionKind.RECORDED, "it is awake", zeroed_by="")
    return None


def _refuse_company(now: Situation) -> Step:
    names = ", ".join(f"{follower.kind} {follower.name}" for follower in now.followers)
    return Step(ActionKind.REFUSED, f"actuation is scale, but {names} sets its replicas already: only one may")


def _step_alone(now: Situation) -> Step | None:
    """Return the step of a workload whose replicas nobody else sets."""
    if now.requested == now.planned:
        return None
    if now.planned == 0:
        return _step_to_zero(now)
    if now.requested == 0:
        return _wake(now, now.planned)
    return Step(ActionKind.SCALED, f"from {now.requested} to {now.planned} replicas", now.planned)


def _step_around_zero(now: Situation, follower: Follower, permission: Permission) -> Step | None:
    """Return the step between 0 and 1 that `follower` cannot take; above 1 it takes all others."""
    if now.planned > 0 and now.requested == 0:
        is_stuck = follower.reads_our_number and not can_wake_by_hpa(permission.kubernetes_minor, follower)
        return _wake(now, 1) if is_stuck else None
    is_ours = goes_to_zero_by_patch(follower, patches_zero=True) and not follower.has_scaled_to_zero
    return _step_to_zero(now) if is_ours and now.planned == 0 and now.requested == 1 else None


def _step_to_zero(now: Situation) -> Step:
    if now.zeroed_by != ZEROED_BY_US:
        return Step(ActionKind.RECORDED, "goes to zero at the next pass", zeroed_by=ZEROED_BY_US)
    return Step(ActionKind.PUT_TO_ZERO, f"from {now.requested} to 0 replicas", 0)


def _wake(now: Situation, replicas: int) -> Step:
    if not now.zeroed_by:
        message = f"{now.planned} replicas are planned, but it was put to zero by hand: only a person wakes it"
        return Step(ActionKind.REFUSED, message)
    return Step(ActionKind.WOKEN, f"from 0 to {replicas} replicas, of {now.planned} planned", replicas)


def _is_step_lost(now: Situation, follower: Follower) -> bool:
    """Whether the dead band of `follower` holds it at the replicas that exist instead of the planned ones."""
    highest = follower.max_replicas
    if not is_bridgeable(follower) or follower.is_active is False or now.existing == 0 or now.requested == 0:
        return False
    if now.planned in (now.requested, now.existing) or now.planned < max(follower.min_replicas, 1):
        return False
    ratio = now.planned / now.existing
    is_within = 1.0 - follower.tolerance_down_ratio <= ratio <= 1.0 + follower.tolerance_up_ratio
    return is_within and (highest is None or now.planned <= highest)
