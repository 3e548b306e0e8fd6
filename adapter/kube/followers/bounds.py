"""What followers allow: bounds of the plan, and who can put a workload to zero and wake it. Pure.

Waking by a HorizontalPodAutoscaler, by version of Kubernetes::

    up to 1.35 (feature gate)    minReplicas 0 is accepted, and any number above zero wakes
    1.36 (gate), from 1.37 on    only what the autoscaler itself put to zero wakes (condition ScaledToZero)

Elsewhere its smallest minimum is 1, it stays out while the workload is at zero, and takes over from 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from adapter.cluster import Follower, FollowerKind

_OWN_ZERO_ONLY_MINOR = 36
_STAYS_OUT_AT_ZERO = frozenset({FollowerKind.HPA, FollowerKind.POD_AUTOSCALER})


def find_bounds(followers: Sequence[Follower], *, patches_zero: bool) -> tuple[int, int | None]:
    """Return the fewest and the most replicas that `followers` of one workload allow; None is no upper bound.

    Parameters
    ----------
    followers
        Those that do not read our number do not count: while they reign, no plan is followed anyway.
    patches_zero
        Whether we may patch ``/scale`` between 0 and 1: a minimum of 1 is then no bound where it allows that.
    """
    ours = [follower for follower in followers if follower.reads_our_number]
    highest = min((follower.max_replicas for follower in ours if follower.max_replicas is not None), default=None)
    lowest = max((_get_lowest(follower, patches_zero) for follower in ours), default=0)
    return (lowest if highest is None else min(lowest, highest)), highest


def goes_to_zero_by_patch(follower: Follower, *, patches_zero: bool) -> bool:
    """Return whether zero is ours: allowed, and the follower's own minimum is 1 and it stays out while at zero.

    KEDA steps between 0 and 1 itself, and puts its minimum back at once.
    """
    return (
        patches_zero
        and follower.reads_our_number
        and follower.kind in _STAYS_OUT_AT_ZERO
        and follower.min_replicas == 1
    )


def can_wake_by_hpa(kubernetes_minor: int, follower: Follower) -> bool:
    """Return whether `follower` by itself leaves zero, where the workload is now, once our number is above zero.

    Parameters
    ----------
    kubernetes_minor
        Of the control plane, 37 for 1.37.
    follower
        What sets the replicas.
    """
    if not follower.reads_our_number:
        return False
    if follower.kind is FollowerKind.KEDA:
        return True
    if follower.kind is FollowerKind.HPA and kubernetes_minor >= _OWN_ZERO_ONLY_MINOR:
        return follower.has_scaled_to_zero is True
    return follower.min_replicas == 0


def _get_lowest(follower: Follower, patches_zero: bool) -> int:
    return 0 if goes_to_zero_by_patch(follower, patches_zero=patches_zero) else follower.min_replicas
