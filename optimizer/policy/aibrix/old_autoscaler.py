"""AIBrix v0.4: one tick of its PodAutoscaler for one Deployment, KPA in the manner of Knative, or APA.

    U, L       of the *ready* replicas k;   samples are *sums* over ready pods
    KPA        cs, cp = ceil(s / T), ceil(p / T), clipped to L..U; over = cp / max(1, k) >= threshold
               over: panic since now; not over for longer than the stable window: calm, the most so far forgotten
               panic: the most so far;  calm: cs;  then the largest of the delay window
    APA        as of the head, with s / k, and k for n

The sample is recorded before the bounds are looked at; a failed fetch ends the tick; no APA without a ready pod.
Quirks kept: more than one replica at the start is panic; from one replica a need of two is; every halving costs
another delay window.

Source: AIBrix v0.4.0, KPA and APA.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from optimizer.policy.aibrix.apa import recommend_apa
from optimizer.policy.aibrix.autoscaler import Strategy
from optimizer.policy.aibrix.scaling_settings import ScalingSettings
from optimizer.policy.aibrix.windows import MeanWindow


@dataclass(frozen=True, slots=True)
class OldAutoscalerState:
    """What is remembered of one Deployment.

    Attributes
    ----------
    stable, panic
        Windows of the sums.
    delay
        Window of the recommendations, for shrinking.
    is_panicking
        Whether it is in panic.
    panic_s
        Since when [s]; None before the first tick.
    most_replicas
        The most that was wanted in this panic.
    """

    stable: MeanWindow
    panic: MeanWindow
    delay: MeanWindow
    is_panicking: bool = False
    panic_s: float | None = None
    most_replicas: int = 0

    @classmethod
    def start(cls, settings: ScalingSettings, replicas: int) -> OldAutoscalerState:
        """Return the state before the first tick of a Deployment with `replicas`."""
        windows = (settings.stable_window_s, settings.panic_window_s)
        stable, panic = (MeanWindow(window_s, is_old=True) for window_s in windows)
        delay = MeanWindow(settings.scale_down_delay_s, is_old=True, is_thinned=False)
        return cls(stable, panic, delay, replicas > 1, None, replicas if replicas > 1 else 0)


@dataclass(frozen=True, slots=True)
class OldTick:
    """What one tick sees: ``scale.spec``, ready replicas, values by ready pod (None when the fetch failed)."""

    replicas: int
    ready_replicas: int
    values: Sequence[float] | None


def step_old_autoscaler(
    state: OldAutoscalerState, tick: OldTick, time_s: float, settings: ScalingSettings, strategy: Strategy
) -> tuple[int, OldAutoscalerState]:
    """Return the replicas to ask for at `time_s` [s], and the next state."""
    if state.panic_s is None:
        state = replace(state, panic_s=time_s)
    if tick.values is None:
        return tick.replicas, state
    total = math.fsum(tick.values)
    state = replace(state, stable=state.stable.record(time_s, total), panic=state.panic.record(time_s, total))
    forced = settings.find_forced(tick.replicas)
    if forced is not None:
        return forced, state
    ready = tick.ready_replicas
    if strategy is Strategy.APA:
        wanted = recommend_apa(settings, ready, state.stable.mean / ready) if ready > 0 else tick.replicas
        return wanted, state
    wanted, state = _want(state, ready, time_s, settings)
    if settings.scale_down_delay_s > 0.0:
        state = replace(state, delay=state.delay.record(time_s, wanted))
        wanted = int(state.delay.maximum)
    return settings.clip(wanted), state


def _want(
    state: OldAutoscalerState, ready: int, time_s: float, settings: ScalingSettings
) -> tuple[int, OldAutoscalerState]:
    """Return what KPA wants before delay and bounds, and the state of its panic."""
    stable_need, panic_need = (math.ceil(window.mean / settings.target) for window in (state.stable, state.panic))
    stable, panic = (_limit(need, ready, settings) for need in (stable_need, panic_need))
    if panic_need / max(1, ready) >= settings.panic_threshold_ratio:
        state = replace(state, is_panicking=True, panic_s=time_s)
    elif state.is_panicking and (state.panic_s or 0.0) + settings.stable_window_s < time_s:
        state = replace(state, is_panicking=False, most_replicas=0)
    if not state.is_panicking:
        return stable, state
    most = max(state.most_replicas, stable, panic)
    return most, replace(state, most_replicas=most)


def _limit(need: int, ready: int, settings: ScalingSettings) -> int:
    lowest, highest = settings.get_reach(ready)
    limited = min(max(need, lowest), highest)
    return max(limited, settings.activation_replicas) if limited > 0 else limited
