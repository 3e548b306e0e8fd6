"""Who sets the replicas of a workload, whether by our number and how exactly; plain objects in, facts out. No I/O."""

from adapter.kube.followers.bounds import can_wake_by_hpa, find_bounds, goes_to_zero_by_patch
from adapter.kube.followers.horizontal_pod_autoscaler import ReadingOptions
from adapter.kube.followers.judging import (
    FollowingVerdict,
    find_plan_obstacles,
    is_bridgeable,
    judge_following,
)
from adapter.kube.followers.obstacles import BRIDGEABLE, ObstacleCode
from adapter.kube.followers.reading import FollowerReader, read_followers
from adapter.kube.followers.standstill import LASTS_AFTER_S, StandstillMemory, find_standstills

__all__ = [
    "BRIDGEABLE",
    "LASTS_AFTER_S",
    "FollowerReader",
    "FollowingVerdict",
    "ObstacleCode",
    "ReadingOptions",
    "StandstillMemory",
    "can_wake_by_hpa",
    "find_bounds",
    "find_plan_obstacles",
    "find_standstills",
    "goes_to_zero_by_patch",
    "is_bridgeable",
    "judge_following",
    "read_followers",
]
