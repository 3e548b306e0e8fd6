"""AIBrix APA: the present replicas times the ratio of value and target, with a dead band; head and v0.4. No memory.

    q = s / T;    q > 1 + up: min(ceil(n q), ceil(u n));    q < 1 - down: max(ceil(n q), floor(n / d));    else n

Quirks kept: zero stays zero; n q beyond 32 bits becomes negative, and so the minimum.

Source: AIBrix e3e10f9e (head, 2026-08-22) and v0.4.0, APA.
"""

from __future__ import annotations

import math

from optimizer.policy.aibrix.scaling_settings import ScalingSettings

_MOST_INT32, _LEAST_INT32 = 2**31 - 1, -(2**31)


def recommend_apa(settings: ScalingSettings, replicas: int, mean: float) -> int:
    """Return the recommendation within the bounds; `mean` is of the window, per replica, in the unit of the target."""
    ratio = mean / settings.target
    wanted = replicas
    if ratio > 1.0 + settings.scale_up_tolerance_ratio:
        wanted = min(_multiply(replicas, ratio), math.ceil(settings.max_scale_up_ratio * replicas))
    elif ratio < 1.0 - settings.scale_down_tolerance_ratio:
        wanted = max(_multiply(replicas, ratio), math.floor(replicas / settings.max_scale_down_ratio))
    return settings.clip(wanted)


def _multiply(replicas: int, ratio: float) -> int:
    product = replicas * ratio
    return math.ceil(product) if product <= _MOST_INT32 else _LEAST_INT32
