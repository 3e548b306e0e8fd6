"""AIBrix: stabilization of recommendations, of KPA and APA from v0.5 on. It only looks back.

    r > n: the largest of the last `up` seconds;    r < n: the *smallest* of the last `down` seconds;    r = n: n

Quirk kept: where Kubernetes would take the largest of the window before shrinking, this takes the smallest, and what
comes out is limited no more: a fleet falls at once to the lowest it was ever told within five minutes.

Source: AIBrix e3e10f9e (head, 2026-08-22), stabilization.
"""

from __future__ import annotations

from typing import TypeAlias

from optimizer.policy.aibrix.scaling_settings import ScalingSettings

Recommendations: TypeAlias = tuple[tuple[float, int], ...]
"""Time [s] and replicas of recommendations, oldest first."""


def stabilize(
    history: Recommendations, settings: ScalingSettings, time_s: float, wanted: int, replicas: int
) -> tuple[int, Recommendations]:
    """Return what becomes of `wanted` from `replicas` at `time_s` [s], and the history with it."""
    up_s, down_s = settings.scale_up_cooldown_s, settings.scale_down_cooldown_s
    longest_s = max(up_s, down_s)
    kept = (*(entry for entry in history if time_s - entry[0] < longest_s), (time_s, wanted))
    if wanted == replicas:
        return replicas, kept
    window_s = up_s if wanted > replicas else down_s
    recent = [wanted, *(count for at_s, count in kept if time_s - at_s < window_s)]
    return max(recent) if wanted > replicas else min(recent), kept
