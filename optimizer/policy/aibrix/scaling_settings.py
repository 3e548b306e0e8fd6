"""What the PodAutoscaler of AIBrix may be told, with what it ships; bounds are of one Deployment. No rule."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScalingSettings:
    """One PodAutoscaler; the defaults are those of an object of the head without annotations.

    Attributes
    ----------
    target
        T: value per replica, in the unit of the metric, > 0.
    min_replicas, max_replicas
        Bounds.
    max_scale_up_ratio, max_scale_down_ratio
        u and d: one step leads to u times and to 1/d of the replicas at most.
    scale_up_tolerance_ratio, scale_down_tolerance_ratio
        Dead band around the target [0-1].
    panic_threshold_ratio
        Panic mean over stable mean (v0.4: need over ready replicas) above which it is panic.
    scale_up_cooldown_s, scale_down_cooldown_s
        Windows of the stabilization, head only [s].
    stable_window_s, panic_window_s
        Windows of the means [s].
    scale_down_delay_s, activation_replicas
        v0.4 only: how long the largest recommendation counts [s]; least replicas once any is wanted.
    """

    target: float
    min_replicas: int = 1
    max_replicas: int = 10
    max_scale_up_ratio: float = 2.0
    max_scale_down_ratio: float = 2.0
    scale_up_tolerance_ratio: float = 0.1
    scale_down_tolerance_ratio: float = 0.1
    panic_threshold_ratio: float = 2.0
    scale_up_cooldown_s: float = 0.0
    scale_down_cooldown_s: float = 300.0
    stable_window_s: float = 180.0
    panic_window_s: float = 60.0
    scale_down_delay_s: float = 1800.0
    activation_replicas: int = 1

    def get_reach(self, replicas: int) -> tuple[int, int]:
        """Return the fewest and the most replicas that one step leads to from `replicas`."""
        return math.floor(replicas / self.max_scale_down_ratio), max(1, math.ceil(self.max_scale_up_ratio * replicas))

    def clip(self, replicas: int) -> int:
        """Return `replicas` within the bounds."""
        return min(max(replicas, self.min_replicas), self.max_replicas)

    def find_forced(self, replicas: int) -> int | None:
        """Return what the bounds alone make of `replicas`, None when the metric has a say.

        Zero with a minimum that is not zero means that scaling is off.
        """
        if replicas == 0 and self.min_replicas != 0:
            return 0
        return None if self.min_replicas <= replicas <= self.max_replicas else self.clip(replicas)
