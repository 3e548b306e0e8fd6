"""Observations and reasons as JSON values. Data only; no I/O."""

from __future__ import annotations

import math
from typing import Any

from optimizer.domain import Observation, Reason

Json = dict[str, Any]


def render_observation(observation: Observation) -> Json:
    """Return the value, or null beside its reason; infinity, which JSON cannot say, is null without one."""
    value = observation.value
    return {
        "value": value if value is None or math.isfinite(value) else None,
        "reason": None if observation.reason is None else render_reason(observation.reason),
    }


def render_reason(reason: Reason) -> Json:
    """Return code and message."""
    return {"code": reason.code.value, "message": reason.message}
