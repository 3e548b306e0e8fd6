"""What the measured loads of the pods say about the router: the same for each replica, or in proportion to capacity.

    log-likelihood of a routing = sum over variants of arrivals_v * log(share_v),  share_v ~ seconds_v * weight_v
    weight_v = 1 (uniform) or capacity_v (weighted)

It chooses no route; it only compares two explanations of what was counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from optimizer.demand.shares import LoadShares
from optimizer.domain import Routing

ENOUGH_ARRIVALS = 100.0
"""Fewer arrivals than this tell nothing."""
TELLING_DIFFERENCE = 5.0
"""Difference of log-likelihoods from which one explanation is believed over the other: odds of 150 to 1."""


def find_routing(shares: LoadShares, capacities_per_s: Mapping[str, float]) -> Routing | None:
    """Return the routing that the measured loads show, None when they cannot tell.

    Parameters
    ----------
    shares
        Measured load of every pod.
    capacities_per_s
        Capacity of one replica by variant [1/s]; pods of other variants are left out.

    Returns
    -------
    Routing
        ``uniform`` or ``weighted``. With pods of one variant only, or variants of equal capacity, both predict the same
        and the answer is None.

    Notes
    -----
    Source: likelihood ratio of two multinomial laws.
    """
    arrivals: dict[str, float] = {}
    seconds: dict[str, float] = {}
    for load in shares.loads.values():
        if capacities_per_s.get(load.variant, 0.0) > 0.0 and load.duration_s > 0.0:
            arrivals[load.variant] = arrivals.get(load.variant, 0.0) + load.arrivals
            seconds[load.variant] = seconds.get(load.variant, 0.0) + load.duration_s
    if sum(arrivals.values()) < ENOUGH_ARRIVALS:
        return None
    uniform = _compute_log_likelihood(arrivals, seconds)
    weighted = _compute_log_likelihood(
        arrivals, {variant: duration_s * capacities_per_s[variant] for variant, duration_s in seconds.items()}
    )
    if abs(weighted - uniform) < TELLING_DIFFERENCE:
        return None
    return Routing.WEIGHTED if weighted > uniform else Routing.UNIFORM


def _compute_log_likelihood(arrivals: Mapping[str, float], weights: Mapping[str, float]) -> float:
    total = sum(weights.values())
    return sum(count * math.log(weights[variant] / total) for variant, count in arrivals.items())
