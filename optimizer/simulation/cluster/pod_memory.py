"""What is remembered of one pod between two pages, and the window its newest page closes: the collector's rules.

A page that could not be had changes nothing but the reason: the window that the next one closes begins where the last
good one ended. It reads no engine.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from optimizer.demand import choose_baseline, compute_window, empty_reading
from optimizer.demand.signals import SignalHistory, compute_signals, track_signals
from optimizer.domain import (
    DemandSource,
    DemandWindow,
    Gauge,
    PodKey,
    PodPhase,
    PodReading,
    PodSignals,
    PodState,
    Reason,
    ReasonCode,
    SignalSpec,
    VariantKey,
)

_UNUSABLE = frozenset({ReasonCode.FROZEN, ReasonCode.BAD_PAGE, ReasonCode.METRIC_MISSING, ReasonCode.STALE})


@dataclass(slots=True)
class PodMemory:
    """One pod as its pages told it.

    Attributes
    ----------
    pod
        Identity.
    specs
        Series that somebody asked for.
    stale_after_s
        Age from which a page no longer counts [s].
    born_s
        When it was last known not to serve yet [s], None when that was never seen; its first window begins there.
    reading
        The newest page that was had; the next window begins there.
    window
        Closed by the newest page, or absent with the reason; None before the first.
    reason
        Why the newest page is none, None when it is one.
    """

    pod: PodKey
    specs: tuple[SignalSpec, ...] = ()
    stale_after_s: float = 60.0
    born_s: float | None = None
    reading: PodReading | None = None
    window: DemandWindow | None = None
    reason: Reason | None = None
    _signals: SignalHistory = field(init=False)

    def __post_init__(self) -> None:
        self._signals = SignalHistory(self.specs)

    def take(self, reading: PodReading) -> None:
        """Take a newer page."""
        start = self._find_start(reading)
        self.window = compute_window(start, reading)
        if self.specs:
            self._track_signals(start, reading)
        code = None if self.window.reason is None else self.window.reason.code
        self.reason = self.window.reason if code in _UNUSABLE else None
        if code is not ReasonCode.FROZEN:
            self.reading = choose_baseline(self.reading, reading, self.stale_after_s)

    def miss(self, time_s: float) -> None:
        """Note that the page of `time_s` [s] could not be had."""
        start_s = time_s if self.reading is None else self.reading.time_s
        self.reason = Reason(ReasonCode.SCRAPE_FAILED, f"{self.pod.name}: no answer")
        self.window = DemandWindow(start_s, time_s, DemandSource.NONE, pod=self.pod, reason=self.reason)

    def to_state(self, phase: PodPhase, created_s: float, ready_s: float | None) -> PodState:
        """Return the pod's state; `phase` and times [s] are as the inventory has them."""
        gauges = {} if self.reading is None else self.reading.gauges
        return PodState(
            pod=self.pod,
            phase=phase,
            created_s=created_s,
            ready_s=ready_s,
            seen_s=None if self.reading is None else self.reading.time_s,
            running_requests=gauges.get(Gauge.RUNNING_REQUESTS),
            waiting_requests=gauges.get(Gauge.WAITING_REQUESTS),
            kv_cache_ratio=gauges.get(Gauge.KV_CACHE_RATIO),
            kv_capacity_tokens=gauges.get(Gauge.KV_CAPACITY_TOKENS),
            reason=self.reason,
        )

    def to_signals(self, variant: VariantKey, now_s: float) -> PodSignals:
        """Return what was asked for at `now_s` [s]."""
        return compute_signals(
            self._signals, self.pod, variant, now_s, max_age_s=self.stale_after_s, reason=self.reason
        )

    def _track_signals(self, start: PodReading | None, reading: PodReading) -> None:
        if start is not None and start is not self.reading:  # born since the last page
            self._signals = track_signals(SignalHistory(self.specs), start)
        self._signals = track_signals(self._signals, reading)

    def _find_start(self, reading: PodReading) -> PodReading | None:
        """Return the page before; without one, an empty one of when the pod was born, if that was seen."""
        if self.reading is not None or self.born_s is None or self.born_s >= reading.time_s:
            return self.reading
        return empty_reading(self.pod, reading.model_name, reading.engine, self.born_s)
