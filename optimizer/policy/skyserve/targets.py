"""How many replicas the arrivals ask for, before any delay: by one rate, or by a rate per accelerator. No memory.

    plain            ceil(lambda / q)
    instance-aware   C = sum of q over replicas ready, starting or provisioning
                     C = 0          least
                     lambda >= C    all known replicas + ceil((lambda - C) / q_max)
                     lambda < C     ready ones, fastest first, until their sum is strictly above lambda

Source
------
SkyServe (``sky/serve``) at 01836b312d03. Kept on purpose: the instance-aware rule adds to **all** known replicas,
terminal ones too; at a capacity of 0 it never wakes above the least; new replicas are taken for the fastest type,
whatever is launched; capacity that starts counts up but not down, so a fresh launch can be cancelled. The arrivals of
the last 60 s are divided by 60 also in the first minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil

from optimizer.policy.skyserve.rates import get_autoscaler_rate_per_s
from optimizer.policy.skyserve.replicas import PeerReplica, Status

QPS_WINDOW_S = 60.0
"""Over which arrivals are counted [s]."""


def count_arrivals(arrivals_s: Iterable[float], now_s: float, window_s: float = QPS_WINDOW_S) -> int:
    """Return how many of the arrivals at `arrivals_s` [s] lie in the window before `now_s` [s], its edge included."""
    return sum(arrival_s >= now_s - window_s for arrival_s in arrivals_s)


def compute_plain_target(arrival_rate_per_s: float, rate_per_s: float, min_replicas: int, max_replicas: int) -> int:
    """Return the replicas for arrivals at `arrival_rate_per_s`, each good for `rate_per_s` > 0 [1/s]."""
    return min(max(ceil(arrival_rate_per_s / rate_per_s), min_replicas), max_replicas)


def compute_instance_aware_target(
    arrival_rate_per_s: float,
    replicas: Sequence[PeerReplica],
    rates_per_s: Mapping[str, float],
    min_replicas: int,
    max_replicas: int,
) -> int:
    """Return the replicas for arrivals [1/s], each of `replicas` good for the rate of its accelerator [1/s]."""
    rated = [(get_autoscaler_rate_per_s(replica.accelerator, rates_per_s), replica.status) for replica in replicas]
    capacity_per_s = sum(rate for rate, status in rated if status.has_capacity)
    if capacity_per_s <= 0.0:
        target = min_replicas
    elif arrival_rate_per_s >= capacity_per_s:
        target = len(replicas) + ceil((arrival_rate_per_s - capacity_per_s) / max(rates_per_s.values()))
    else:
        ready = [rate for rate, status in rated if status is Status.READY]
        target = _count_fastest(arrival_rate_per_s, ready or [max(rates_per_s.values())])
    return min(max(target, min_replicas), max_replicas)


def _count_fastest(arrival_rate_per_s: float, rates_per_s: list[float]) -> int:
    """Return how many of the fastest have more than the arrivals together; all when they never do."""
    total_per_s = 0.0
    for count, rate_per_s in enumerate(sorted(rates_per_s, reverse=True), 1):
        total_per_s += rate_per_s
        if total_per_s > arrival_rate_per_s:
            return count
    return len(rates_per_s)
