"""AIBrix KPA: one recommendation out of the means of a stable and a panic window, for the head. No memory.

    need(v) = ceil(v / T) outside T (1 - down) .. T (1 + up), else the present n
    panic <=> s <= 0 or p / s > threshold;    U = max(1, ceil(u n)), L = floor(n / d)
    r = clip(need(s), L, U), in panic the larger of it and clip(need(p), L, U)

Quirks kept: the mean over pods is treated as a total, so that a fleet shrinks while its load doubles; the dead band is
that of *one* replica, however many run; panic is not remembered and does not keep from shrinking.

Source: AIBrix e3e10f9e (head, 2026-08-22), KPA.
"""

from __future__ import annotations

import math

from optimizer.policy.aibrix.scaling_settings import ScalingSettings


def recommend_kpa(settings: ScalingSettings, replicas: int, stable: float, panic: float) -> tuple[int, bool]:
    """Return the recommendation within the bounds, and whether it was made in panic.

    `stable` and `panic` are the means of the windows, in the unit of the target.
    """
    lowest, highest = settings.get_reach(replicas)

    def limit(value: float) -> int:
        return min(max(_find_need(settings, replicas, value), lowest), highest)

    is_panic = stable <= 0.0 or panic / stable > settings.panic_threshold_ratio
    wanted = max(limit(stable), limit(panic)) if is_panic else limit(stable)
    return settings.clip(wanted), is_panic


def _find_need(settings: ScalingSettings, replicas: int, value: float) -> int:
    above = settings.target * (1.0 + settings.scale_up_tolerance_ratio)
    below = settings.target * (1.0 - settings.scale_down_tolerance_ratio)
    return math.ceil(value / settings.target) if value > above or value < below else replicas
