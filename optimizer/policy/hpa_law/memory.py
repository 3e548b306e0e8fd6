"""What a horizontal pod autoscaler remembers, as plain JSON values and back. It follows no metric."""

from __future__ import annotations

import math
from collections.abc import Mapping

from optimizer.policy.extremes import keep_extremes
from optimizer.policy.hpa_law.behavior import Proposal, Step
from optimizer.policy.hpa_law.law import HpaState


def encode_hpa_state(state: HpaState) -> dict[str, object]:
    """Return plain JSON values of `state`; of the proposals those that can still be an extreme of a window."""
    kept = keep_extremes([(proposal.time_s, proposal.replicas) for proposal in state.proposals])
    return {
        "proposals": [list(proposal) for proposal in kept],
        "steps": [[step.time_s, step.change] for step in state.steps],
        "scaled_to_zero": state.scaled_to_zero,
    }


def decode_hpa_state(document: object) -> HpaState:
    """Return the state in `document`; an empty one when it makes no sense."""
    if not isinstance(document, Mapping):
        return HpaState()
    try:
        return HpaState(
            tuple(Proposal(_to_time_s(time_s), int(replicas)) for time_s, replicas in document["proposals"]),
            tuple(Step(_to_time_s(time_s), int(change)) for time_s, change in document["steps"]),
            document["scaled_to_zero"] is True,
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return HpaState()


def _to_time_s(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(value)
    return float(value)
