"""The arithmetic of AIBrix's pod autoscaler, strategy KPA, of version 0.4 and of the versions from 0.5 on. No I/O.

Names: n present replicas, T target, u and d the rates up and down, s and p the means of the stable and panic windows::

    U = max(1, ceil(u n))    L = floor(n / d)
    from 0.5   need(v) = ceil(v / T) outside T (1 - down) .. T (1 + up), else n;    clipped to L..U
    0.4        need(v) = ceil(v / T), clipped to L..U of the *ready* replicas; sums instead of means
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field


def clip(value: int, lowest: int, highest: int) -> int:
    return min(max(value, lowest), highest)


@dataclass(frozen=True)
class KpaSettings:
    """Defaults are those of an object without annotations, versions from 0.5 on."""

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

    def get_reach(self, replicas: int) -> tuple[int, int]:
        """Return the fewest and the most replicas that one step leads to."""
        most = max(1, math.ceil(self.max_scale_up_ratio * replicas))
        return math.floor(replicas / self.max_scale_down_ratio), most

    def clip(self, replicas: int) -> int:
        return clip(replicas, self.min_replicas, self.max_replicas)


@dataclass
class Window:
    """Samples of the last `window_s`, both ends included, one a second; old ones leave only when a new one comes."""

    window_s: float
    samples: dict[int, float] = field(default_factory=dict)

    def record(self, time_s: float, value: float) -> None:
        second = math.floor(time_s)
        self.samples[second] = value
        self.samples = {at: kept for at, kept in self.samples.items() if at >= second - self.window_s}

    @property
    def mean(self) -> float:
        return sum(self.samples.values()) / len(self.samples) if self.samples else 0.0


def recommend(settings: KpaSettings, replicas: int, stable: float, panic: float) -> tuple[int, bool]:
    """Return one recommendation within the bounds, and whether it was made in panic."""
    lowest, highest = settings.get_reach(replicas)

    def need(value: float) -> int:
        above = settings.target * (1 + settings.scale_up_tolerance_ratio)
        below = settings.target * (1 - settings.scale_down_tolerance_ratio)
        return math.ceil(value / settings.target) if value > above or value < below else replicas

    wanted = clip(need(stable), lowest, highest)
    in_panic = stable <= 0 or panic / stable > settings.panic_threshold_ratio
    if in_panic:
        wanted = max(wanted, clip(need(panic), lowest, highest))
    return settings.clip(wanted), in_panic


@dataclass
class Cooldown:
    """Upwards the largest, downwards the *smallest* recommendation of a window counts."""

    up_s: float
    down_s: float
    history: list[tuple[float, int]] = field(default_factory=list)

    def stabilize(self, time_s: float, wanted: int, replicas: int) -> int:
        longest_s = max(self.up_s, self.down_s)
        self.history = [entry for entry in self.history if time_s - entry[0] < longest_s] + [(time_s, wanted)]
        if wanted == replicas:
            return replicas
        window_s = self.up_s if wanted > replicas else self.down_s
        recent = [wanted, *(count for at, count in self.history if time_s - at < window_s)]
        return max(recent) if wanted > replicas else min(recent)


class KpaAutoscaler:
    """The loop of versions from 0.5 on."""

    def __init__(self, settings: KpaSettings) -> None:
        self.settings = settings
        self._stable, self._panic = Window(settings.stable_window_s), Window(settings.panic_window_s)
        self._cooldown = Cooldown(settings.scale_up_cooldown_s, settings.scale_down_cooldown_s)

    def tick(self, time_s: float, replicas: int, values: Sequence[float] | None) -> int:
        """Return the replicas to ask for; `values` is None when every source failed, empty when no pod was listed."""
        settings = self.settings
        if replicas == 0 and settings.min_replicas != 0:
            return 0
        if not settings.min_replicas <= replicas <= settings.max_replicas:
            return settings.clip(replicas)
        if values is None:
            return replicas
        if values:
            for window in (self._stable, self._panic):
                window.record(time_s, sum(values) / len(values))
        wanted, _ = recommend(settings, replicas, self._stable.mean, self._panic.mean)
        return settings.clip(self._cooldown.stabilize(time_s, wanted, replicas))


# --- Version 0.4 ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class OldKpaSettings(KpaSettings):
    stable_window_s: float = 60.0
    panic_window_s: float = 10.0
    scale_down_delay_s: float = 1800.0
    activation_replicas: int = 1


@dataclass
class OldWindow:
    """Samples younger than `window_s`, one entry a second of it at most: a full window drops the newest."""

    window_s: float
    samples: list[tuple[int, float]] = field(default_factory=list)

    def record(self, time_s: float, value: float) -> None:
        second = math.floor(time_s)
        self.samples = [entry for entry in self.samples if entry[0] > second - self.window_s]
        if len(self.samples) < self.window_s:
            self.samples.append((second, value))

    @property
    def values(self) -> list[float]:
        return [value for _, value in self.samples]

    @property
    def mean(self) -> float:
        return sum(self.values) / len(self.values) if self.samples else 0.0


class OldKpaAutoscaler:
    """The loop of version 0.4: `is_panicking` is remembered from tick to tick, and nothing shrinks in panic."""

    def __init__(self, settings: OldKpaSettings, replicas: int) -> None:
        self.settings = settings
        self.is_panicking = replicas > 1
        self._panic_s: float | None = None
        self._most_in_panic = replicas if replicas > 1 else 0
        self._stable, self._panic = OldWindow(settings.stable_window_s), OldWindow(settings.panic_window_s)
        self._delay = OldWindow(settings.scale_down_delay_s)

    def tick(self, time_s: float, replicas: int, ready: int, values: Sequence[float] | None) -> int:
        settings = self.settings
        self._panic_s = time_s if self._panic_s is None else self._panic_s  # the clock starts at the first tick
        if values is None:
            return replicas
        for window in (self._stable, self._panic):
            window.record(time_s, math.fsum(values))
        if replicas == 0 and settings.min_replicas != 0:
            return 0
        if not settings.min_replicas <= replicas <= settings.max_replicas:
            return settings.clip(replicas)
        return settings.clip(self._delayed(time_s, self._want(time_s, ready)))

    def _want(self, time_s: float, ready: int) -> int:
        settings = self.settings
        lowest, highest = settings.get_reach(ready)
        needs = [math.ceil(window.mean / settings.target) for window in (self._stable, self._panic)]
        wanted = [clip(need, lowest, highest) for need in needs]
        if settings.activation_replicas > 1:
            wanted = [max(count, settings.activation_replicas) if count > 0 else count for count in wanted]
        if needs[1] / max(1, ready) >= settings.panic_threshold_ratio:
            self.is_panicking, self._panic_s = True, time_s
        elif self.is_panicking and (self._panic_s or 0.0) + settings.stable_window_s < time_s:
            self.is_panicking, self._most_in_panic = False, 0
        if not self.is_panicking:
            return wanted[0]
        self._most_in_panic = max(self._most_in_panic, *wanted)
        return self._most_in_panic

    def _delayed(self, time_s: float, wanted: int) -> int:
        if self.settings.scale_down_delay_s == 0:
            return wanted
        self._delay.record(time_s, wanted)
        return int(max(self._delay.values))
