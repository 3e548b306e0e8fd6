"""The loops of AIBrix's pod autoscaler, strategy KPA, with their memory: the rules are those of the policy. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from optimizer.policy.aibrix import (
    AutoscalerState,
    OldAutoscalerState,
    OldTick,
    ScalingSettings,
    Strategy,
    Tick,
    step_autoscaler,
    step_old_autoscaler,
)

KpaSettings = ScalingSettings
"""Defaults are those of an object without annotations, versions from 0.5 on."""
OldKpaSettings = partial(ScalingSettings, stable_window_s=60.0, panic_window_s=10.0)
"""The same of version 0.4."""


class KpaAutoscaler:
    """The loop of versions from 0.5 on."""

    def __init__(self, settings: ScalingSettings) -> None:
        self.settings, self._state = settings, AutoscalerState.start(settings)

    def tick(self, time_s: float, replicas: int, values: Sequence[float] | None) -> int:
        """Return the replicas to ask for; `values` is None when every source failed, empty when no pod was listed."""
        wanted, self._state = step_autoscaler(self._state, Tick(replicas, values), time_s, self.settings, Strategy.KPA)
        return wanted


class OldKpaAutoscaler:
    """The loop of version 0.4."""

    def __init__(self, settings: ScalingSettings, replicas: int) -> None:
        self.settings, self._state = settings, OldAutoscalerState.start(settings, replicas)

    @property
    def is_panicking(self) -> bool:
        """Whether it is in panic, in which nothing shrinks."""
        return self._state.is_panicking

    def tick(self, time_s: float, replicas: int, ready: int, values: Sequence[float] | None) -> int:
        """Return the replicas to ask for; `values` is None when the source failed."""
        wanted, self._state = step_old_autoscaler(
            self._state, OldTick(replicas, ready, values), time_s, self.settings, Strategy.KPA
        )
        return wanted
