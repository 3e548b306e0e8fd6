"""Whether the number of one workload is followed, and what to change where it is not. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from adapter.cluster import Follower, FollowerKind, Obstacle
from adapter.kube.followers.bounds import can_wake_by_hpa, goes_to_zero_by_patch
from adapter.kube.followers.obstacles import BRIDGEABLE, ObstacleCode, sort_obstacles
from adapter.kube.followers.recommended import FREE_ZERO_MINOR, render_autoscaler, render_configuration
from adapter.kube.followers.yaml_lines import Tree, render_patch
from optimizer.domain import Reason, ReasonCode, WorkloadRef

_USUAL_MAX_REPLICAS = 32
_BOUND_KEYS = {
    FollowerKind.HPA: ("minReplicas", "maxReplicas"),
    FollowerKind.KEDA: ("minReplicaCount", "maxReplicaCount"),
    FollowerKind.POD_AUTOSCALER: ("minReplicas", "maxReplicas"),
}


class FollowingVerdict(NamedTuple):
    """True, False or (None) not known yet, with the reason and everything that is in the way, worst first."""

    status: bool | None
    reason: Reason
    obstacles: tuple[Obstacle, ...]


def judge_following(
    planned: int,
    requested: int | None,
    followers: Sequence[Follower],
    *,
    workload: WorkloadRef,
    kubernetes_minor: int,
    zero_by_patch: bool = False,
    bridges_tolerance: bool = False,
    acts_by_scale: bool = False,
    zeroed_by: str = "",
) -> FollowingVerdict:
    """Return whether the published number is followed.

    It speaks of what holds for good: a step under way, or one that happens to lie outside a dead band, changes nothing.

    Parameters
    ----------
    planned
        The published number.
    requested
        Replicas asked for now, None when nobody can tell.
    followers
        Who sets the replicas of `workload`.
    workload
        Whom it concerns.
    kubernetes_minor
        Of the control plane, 37 for 1.37.
    zero_by_patch, bridges_tolerance
        What we may patch: between 0 and 1, and steps inside a dead band.
    acts_by_scale
        Whether we set the replicas ourselves where nobody else does.
    zeroed_by
        Who put it to zero, as recorded; "" for a person, or nobody.
    """
    ours = [follower for follower in followers if follower.reads_our_number]
    if not followers and acts_by_scale:
        stuck = _find_hand_obstacle(planned, requested, workload, zeroed_by)
        return _refuse([stuck]) if stuck else _accept("we set the replicas ourselves")
    if not ours:
        return _judge_unfollowed(planned, followers, workload, kubernetes_minor)
    obstacles = [
        *_find_lasting_obstacles(followers, bridges_tolerance=bridges_tolerance),
        *_find_sleep_obstacles(
            planned,
            requested,
            ours,
            workload,
            kubernetes_minor=kubernetes_minor,
            zero_by_patch=zero_by_patch,
            zeroed_by=zeroed_by,
        ),
        *(
            obstacle
            for follower in ours
            for obstacle in find_plan_obstacles(
                planned, follower, zero_by_patch=zero_by_patch, kubernetes_minor=kubernetes_minor
            )
        ),
    ]
    if obstacles:
        return _refuse(obstacles)
    names = " and ".join(f"{follower.kind} {follower.name}" for follower in ours)
    if planned == requested == 0 or all(follower.is_active for follower in ours):
        return _accept(f"{names} follows exactly")
    return FollowingVerdict(None, Reason(ReasonCode.NO_DATA, f"{names} has not yet read the number"), ())


def find_plan_obstacles(
    planned: int, follower: Follower, *, zero_by_patch: bool, kubernetes_minor: int
) -> tuple[Obstacle, ...]:
    """Return what of the bounds of `follower` stands against `planned` replicas."""
    lowest_key, highest_key = _BOUND_KEYS[follower.kind]
    if follower.max_replicas is not None and planned > follower.max_replicas:
        message = f"{highest_key} {follower.max_replicas} is below the {planned} planned"
        return (
            Obstacle(ObstacleCode.MAX_REPLICAS_BELOW_PLAN, message, _render_spec(follower, {highest_key: planned})),
        )
    if planned >= follower.min_replicas or (
        planned == 0 and goes_to_zero_by_patch(follower, patches_zero=zero_by_patch)
    ):
        return ()
    message = f"{lowest_key} {follower.min_replicas} is above the {planned} planned"
    if planned > 0:
        remedy = _render_spec(follower, {lowest_key: planned})
        return (Obstacle(ObstacleCode.MIN_REPLICAS_ABOVE_PLAN, message, remedy),)
    remedy = _render_spec(follower, {lowest_key: 0})
    if follower.kind is FollowerKind.HPA and kubernetes_minor < FREE_ZERO_MINOR:
        remedy = _render_spec(follower, {lowest_key: 1}) if follower.min_replicas > 1 else ""
        remedy += render_configuration({"kubernetes": {"patch_zero": True}})
    return (Obstacle(ObstacleCode.MIN_REPLICAS_ABOVE_ZERO, message, remedy),)


def _judge_unfollowed(
    planned: int, followers: Sequence[Follower], workload: WorkloadRef, kubernetes_minor: int
) -> FollowingVerdict:
    """Judge a workload that nobody sets by our number."""
    obstacles = [obstacle for follower in followers for obstacle in follower.obstacles]
    if not followers:
        remedy = render_autoscaler(
            workload, max_replicas=max(planned, _USUAL_MAX_REPLICAS), kubernetes_minor=kubernetes_minor
        )
        message = f"no autoscaler reads the number of {workload.kind} {workload.name}"
        obstacles = [Obstacle(ObstacleCode.NO_AUTOSCALER, message, remedy)]
    verdict = _refuse(obstacles)
    return verdict._replace(reason=Reason(ReasonCode.NO_FOLLOWER, verdict.reason.message))


def _find_lasting_obstacles(followers: Sequence[Follower], *, bridges_tolerance: bool) -> Iterator[Obstacle]:
    for follower in followers:
        if not follower.reads_our_number:
            continue  # the others tell of it
        for obstacle in follower.obstacles:
            if not (bridges_tolerance and obstacle.code in BRIDGEABLE and is_bridgeable(follower)):
                yield obstacle
        if follower.is_active is False:
            message = f"{follower.kind} {follower.name} says: {follower.message or 'it cannot scale'}"
            yield Obstacle(ObstacleCode.CANNOT_READ, message)


def is_bridgeable(follower: Follower) -> bool:
    """Return whether a patch of ``/scale`` inside the dead band of `follower` lasts: nothing else is in its way."""
    return (
        follower.reads_our_number
        and follower.kind is not FollowerKind.POD_AUTOSCALER
        and all(obstacle.code in BRIDGEABLE for obstacle in follower.obstacles)
    )


def _find_sleep_obstacles(
    planned: int,
    requested: int | None,
    ours: Sequence[Follower],
    workload: WorkloadRef,
    *,
    kubernetes_minor: int,
    zero_by_patch: bool,
    zeroed_by: str,
) -> Iterator[Obstacle]:
    """Yield why a workload at zero is not woken."""
    if planned == 0 or requested != 0 or any(can_wake_by_hpa(kubernetes_minor, follower) for follower in ours):
        return
    by_hand = _find_hand_obstacle(planned, requested, workload, zeroed_by)
    if by_hand is not None:
        yield by_hand
    elif not zero_by_patch:
        remedy = render_configuration({"kubernetes": {"patch_zero": True}})
        message = f"{workload.kind} {workload.name} is at zero, and its autoscaler cannot wake it"
        yield Obstacle(ObstacleCode.CANNOT_WAKE, message, remedy)


def _find_hand_obstacle(planned: int, requested: int | None, workload: WorkloadRef, zeroed_by: str) -> Obstacle | None:
    if planned == 0 or requested != 0 or zeroed_by:
        return None
    message = f"{workload.kind} {workload.name} was put to zero by hand, and only a person wakes it"
    remedy = render_patch(workload.kind, workload.namespace, workload.name, {"spec": {"replicas": 1}})
    return Obstacle(ObstacleCode.PUT_TO_ZERO_BY_HAND, message, remedy)


def _render_spec(follower: Follower, spec: Tree) -> str:
    return render_patch(follower.kind, follower.workload.namespace, follower.name, {"spec": spec})


def _accept(message: str) -> FollowingVerdict:
    return FollowingVerdict(True, Reason(ReasonCode.FOLLOWED, message), ())


def _refuse(obstacles: Sequence[Obstacle]) -> FollowingVerdict:
    ordered = sort_obstacles(obstacles)
    further = f" (and {len(ordered) - 1} more)" if len(ordered) > 1 else ""
    return FollowingVerdict(
        False, Reason(ReasonCode.NOT_FOLLOWED, f"{ordered[0].code}: {ordered[0].message}{further}"), ordered
    )
