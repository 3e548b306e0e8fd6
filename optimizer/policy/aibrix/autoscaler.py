"""AIBrix: one tick of the PodAutoscaler of the head for one Deployment: bounds, sample, recommendation, stabilization.

Bounds come first, and then no metric is recorded. The sample is the mean over pods, or the single value of an external
source. When every source fails nothing changes; when no pod is listed nothing is recorded, and an empty window reads 0.

Source: AIBrix e3e10f9e (head, 2026-08-22), order of the rules.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from optimizer.policy.aibrix.apa import recommend_apa
from optimizer.policy.aibrix.cooldown import Recommendations, stabilize
from optimizer.policy.aibrix.kpa import recommend_kpa
from optimizer.policy.aibrix.scaling_settings import ScalingSettings
from optimizer.policy.aibrix.windows import MeanWindow


class Strategy(StrEnum):
    """Which recommendation is made."""

    KPA = "kpa"
    APA = "apa"


@dataclass(frozen=True, slots=True)
class AutoscalerState:
    """Windows of one metric of one Deployment, and its recommendations."""

    stable: MeanWindow
    panic: MeanWindow
    history: Recommendations = ()

    @classmethod
    def start(cls, settings: ScalingSettings) -> AutoscalerState:
        """Return the state before the first tick."""
        return cls(MeanWindow(settings.stable_window_s), MeanWindow(settings.panic_window_s))


@dataclass(frozen=True, slots=True)
class Tick:
    """What one tick sees.

    Attributes
    ----------
    replicas
        n: in ``scale.spec``.
    values
        By pod, in the unit of the target; None when every source failed, () when no pod is listed.
    """

    replicas: int
    values: Sequence[float] | None


def step_autoscaler(
    state: AutoscalerState, tick: Tick, time_s: float, settings: ScalingSettings, strategy: Strategy
) -> tuple[int, AutoscalerState]:
    """Return the replicas to ask for at `time_s` [s], and the next state."""
    forced = settings.find_forced(tick.replicas)
    if forced is not None or tick.values is None:
        return tick.replicas if forced is None else forced, state
    if tick.values:
        mean = math.fsum(tick.values) / len(tick.values)
        state = replace(state, stable=state.stable.record(time_s, mean), panic=state.panic.record(time_s, mean))
    if strategy is Strategy.KPA:
        wanted, _ = recommend_kpa(settings, tick.replicas, state.stable.mean, state.panic.mean)
    else:
        wanted = recommend_apa(settings, tick.replicas, state.stable.mean)
    stabilized, history = stabilize(state.history, settings, time_s, wanted, tick.replicas)
    return settings.clip(stabilized), replace(state, history=history)
