"""Saturation: the last word about zero, after the targets were chosen. It looks at no load but the count of requests.

Source: llm-d workload-variant-autoscaler b08b1c7 (2026-02-19), scale-to-zero enforcer.
"""

from __future__ import annotations

from collections.abc import Mapping

UNKNOWN_COST = 10.0
"""Price of a variant of which none is known, in the peer's unit."""


def enforce_zero(
    targets: Mapping[str, int], costs: Mapping[str, float], *, may_be_zero: bool, retained_requests: float | None
) -> tuple[dict[str, int], bool]:
    """Return the targets within the rules of zero, and whether that changed them.

    Parameters
    ----------
    targets
        Replicas by variant.
    costs
        Price of one replica by variant; `UNKNOWN_COST` where there is none.
    may_be_zero
        Whether the LLM may go to zero: then it does once nothing was asked. Else one replica stays, of the cheapest.
    retained_requests
        Requests served over the retention period; None when nobody could tell, and then nothing changes.
    """
    enforced = dict(targets)
    if may_be_zero:
        if retained_requests == 0:
            enforced = dict.fromkeys(targets, 0)
    elif targets and not any(targets.values()):
        cheapest = min(targets, key=lambda name: (costs.get(name, UNKNOWN_COST), name))
        enforced[cheapest] = 1
    return enforced, enforced != dict(targets)
