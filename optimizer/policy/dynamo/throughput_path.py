"""Dynamo planner, generation 2: replicas for the requests that are forecast, in bounded steps. It forecasts nothing.

    ceil(requests / interval / capacity), at least the minimum, at most `max_step` away from what is there

Source: NVIDIA Dynamo, throughput scaling at 0c6da1ec762c, tests at 1b5541004f37.
"""

from __future__ import annotations

import math


def count_replicas(demand_per_s: float, capacity_per_s: float, min_replicas: int) -> int:
    """Return the replicas that carry `demand_per_s` [1/s], each `capacity_per_s` [1/s] > 0."""
    return max(math.ceil(demand_per_s / capacity_per_s), min_replicas)


def cap_step(current: int, computed: int, max_step: int) -> int:
    """Return `computed` no further than `max_step` from `current`, and not below zero."""
    return max(min(max(computed, current - max_step), current + max_step), 0)
