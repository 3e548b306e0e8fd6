"""The peer's instance-aware router: fewest requests in hand over the target rate. It keeps no counters.

It stands here for conformance alone. Requests of a simulated cluster are routed for all scalers alike, by the rule of
`optimizer.routing.instance_aware` where that is chosen: the same loads over rates; of equal ones the higher rate goes
first, then the least recently chosen.

Source
------
SkyServe (``sky/serve``) at 01836b312d03, ``instance_aware_least_load``. Kept on purpose: ties go to the first listed,
and a count that leaked below zero attracts every request.
"""

from __future__ import annotations

from collections.abc import Sequence


def choose_least_normalized(in_flight_requests: Sequence[int], rates_per_s: Sequence[float]) -> int | None:
    """Return the index of the replica whose load over its rate [s] is least, None when there are none."""
    loads_s = compute_normalized_loads_s(in_flight_requests, rates_per_s)
    return min(range(len(loads_s)), key=loads_s.__getitem__) if loads_s else None


def compute_normalized_loads_s(in_flight_requests: Sequence[int], rates_per_s: Sequence[float]) -> list[float]:
    """Return the requests in hand of each replica over its rate > 0 [s]."""
    return [requests / rate for requests, rate in zip(in_flight_requests, rates_per_s, strict=True)]
