"""Target rates by accelerator: which of a table's rates is that of a replica. The peer's two ways to look it up.

Source
------
SkyServe (``sky/serve``) at 01836b312d03: the exact key, else the first key whose part before ``:`` is the name; the
count after it is ignored. Where nothing fits the autoscaler takes the smallest rate and the router 1 request per
second, so the two disagree about one replica.
"""

from __future__ import annotations

from collections.abc import Mapping

UNKNOWN_TO_ROUTER_PER_S = 1.0
"""What the router takes for an accelerator without a rate, and for a rate that is not positive [1/s]."""


def find_rate_per_s(accelerator: str, rates_per_s: Mapping[str, float]) -> float | None:
    """Return the rate of `accelerator` [1/s], None when no key fits."""
    if accelerator in rates_per_s:
        return rates_per_s[accelerator]
    return next((rate for key, rate in rates_per_s.items() if key.split(":")[0] == accelerator), None)


def get_autoscaler_rate_per_s(accelerator: str, rates_per_s: Mapping[str, float]) -> float:
    """Return the rate that the autoscaler counts a replica with [1/s]."""
    found = find_rate_per_s(accelerator, rates_per_s)
    return min(rates_per_s.values()) if found is None else found


def get_router_rate_per_s(accelerator: str, rates_per_s: Mapping[str, float]) -> float:
    """Return the rate that the router divides a load by [1/s], > 0."""
    found = find_rate_per_s(accelerator, rates_per_s)
    return found if found is not None and found > 0.0 else UNKNOWN_TO_ROUTER_PER_S
