"""Means over the samples of a window, as AIBrix keeps them; old samples leave when a new one comes. No clock is read.

    head    t - W <= s <= t in whole seconds; a second sample of one second replaces the first
    v0.4    t - W <  s <= t; both are kept, but a full window, W entries, drops the newest

Of a window longer than any that is shipped as one of a mean, 180 s, only the newest sample of every stretch of a 90th
is kept, as the head does of a second: what is remembered is bounded. Of counts (``delay``) all are.

Quirks kept: the mean is not weighted by time, and without new samples the old ones count for ever.

Source: AIBrix e3e10f9e (head, 2026-08-22) and v0.4.0, sliding windows of the PodAutoscaler.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

LONGEST_WHOLE_S = 180.0
"""A window as long as this, the longest that is shipped, keeps a sample of every second [s]."""
MOST_STRETCHES = 90
"""Samples that a longer one keeps."""


@dataclass(frozen=True, slots=True)
class MeanWindow:
    """Samples as (whole second, value), oldest first.

    Attributes
    ----------
    window_s
        W: how far back samples count [s].
    samples
        What was recorded.
    is_old
        Whether the rules of v0.4 hold.
    is_thinned
        Whether a long window keeps one sample of every stretch, rather than of every second.
    """

    window_s: float
    samples: tuple[tuple[int, float], ...] = ()
    is_old: bool = False
    is_thinned: bool = True

    def record(self, time_s: float, value: float) -> MeanWindow:
        """Return the window with `value` at `time_s` [s]."""
        second, stretch_s = math.floor(time_s), self._stretch_s
        if stretch_s > 1:
            recent = (entry for entry in self.samples if entry[0] > second - self.window_s)
            others = tuple(entry for entry in recent if entry[0] // stretch_s != second // stretch_s)
            return replace(self, samples=(*others, (second, value)))
        if self.is_old:
            kept = tuple(entry for entry in self.samples if entry[0] > second - self.window_s)
            is_full = len(kept) >= self.window_s
            return replace(self, samples=kept if is_full else (*kept, (second, value)))
        others = tuple(entry for entry in self.samples if second - self.window_s <= entry[0] != second)
        return replace(self, samples=(*others, (second, value)))

    @property
    def _stretch_s(self) -> int:
        """Seconds of which one sample is kept."""
        is_whole = not self.is_thinned or self.window_s <= LONGEST_WHOLE_S
        return 1 if is_whole else math.ceil(self.window_s / MOST_STRETCHES)

    @property
    def mean(self) -> float:
        """Mean of the samples, 0 without any."""
        return math.fsum(value for _, value in self.samples) / len(self.samples) if self.samples else 0.0

    @property
    def maximum(self) -> float:
        """Largest sample, 0 without any."""
        return max((value for _, value in self.samples), default=0.0)
