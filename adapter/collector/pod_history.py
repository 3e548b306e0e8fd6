"""What is remembered of one pod between two pages, and the window its newest page closes. No I/O.

A page that cannot be used changes nothing but the reason: the window that the next good page closes begins where the
last good one ended, so that no arrival is lost to a page that failed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from adapter.collector.asked_series import AskedSeries
from adapter.collector.options import PageOptions
from adapter.collector.read_page import read_page
from adapter.errors import BadDocument
from adapter.inventory import PodEntry
from optimizer import (
    SignalHistory,
    choose_baseline,
    compute_signals,
    compute_window,
    empty_reading,
    track_signals,
)
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
    VariantKey,
)

_PAGE_COUNT = b'http_requests_total{endpoint="/metrics"'  # counts requests for the page itself, before the answer
_CPU_TIME = b"\nprocess_cpu_seconds_total "  # a server that answers at all spends time doing so
_MOST_REPEATS = 5
"""Writing a page of hundreds of series takes more than 2 ms, and time spent is shown in steps of 10 ms."""
_ENDS = (b"\n", b"# EOF")
_UNUSABLE = frozenset({ReasonCode.FROZEN, ReasonCode.BAD_PAGE, ReasonCode.METRIC_MISSING, ReasonCode.STALE})
"""Of the reasons why a page closes no window, those that speak against the page."""
_TELLS_NO_SIGNAL = _UNUSABLE - {ReasonCode.METRIC_MISSING}
"""Those for which nothing else of it counts either; what is missing on a page says nothing about the rest."""


@dataclass(slots=True)
class PodHistory:
    """One pod as its pages told it.

    Attributes
    ----------
    pod
        Identity.
    model_id
        The LLM whose numbers are wanted.
    options
        Where the page is and how to read it; set by `expect`.
    stale_after_s
        Age from which a page no longer counts as data [s].
    born_s
        Moment at which it was known not to serve yet [s], None when that was never seen; its first window starts there.
    reading
        The last good one; the next window starts there.
    window
        Closed by the newest page, or absent with the reason; None before the first page was asked for.
    reason
        Why the newest page could not be used, None when it could.
    answered_s
        When its server last answered, whatever it said [s].
    asked
        Series that a policy asked for, None where none did; set by `expect`.
    """

    pod: PodKey
    model_id: str
    options: PageOptions = field(default_factory=PageOptions)
    stale_after_s: float = 60.0
    born_s: float | None = None
    reading: PodReading | None = None
    window: DemandWindow | None = None
    reason: Reason | None = None
    answered_s: float | None = None
    asked: AskedSeries | None = None
    _signals: SignalHistory = field(default_factory=SignalHistory)
    _body_hash: int | None = None
    _repeats: int = 0
    _arrivals: float | None = None

    def expect(self, options: PageOptions, asked: AskedSeries | None = None) -> None:
        """Read pages as `options` say from now on, and what is `asked` of them; what is new begins anew."""
        is_other = options != self.options
        if is_other:
            self.options, self.reading, self._body_hash, self._arrivals = options, None, None, None
        if is_other or asked is not self.asked:
            self.asked, self._signals = asked, SignalHistory(() if asked is None else asked.specs)

    def take_page(self, body: bytes, time_s: float) -> None:
        """Take the page `body`, of `time_s` [s]."""
        self.answered_s = time_s
        if self.reading is None and not body.endswith(_ENDS):  # what was cut off would look like arrivals later
            self.miss_page(Reason(ReasonCode.BAD_PAGE, f"{self.pod.name}: the page was cut off"), time_s)
            return
        try:
            readings = read_page(body, self.options.engine, self.pod, time_s, asked=self.asked)
        except BadDocument as problem:
            self.miss_page(Reason(ReasonCode.BAD_PAGE, f"{self.pod.name}: {problem}"), time_s)
            return
        reading = _choose_reading(readings, self.options, self.model_id)
        if reading is None:
            wanted = self.options.served_model_name or self.model_id
            names = ", ".join(entry.model_name for entry in readings)
            message = f"{self.pod.name}: the page has no numbers of {wanted}; it has {names}"
            self.miss_page(Reason(ReasonCode.METRIC_MISSING, message), time_s)
            return
        is_changed = self._is_changed(body)
        if is_changed is False and self._must_change(body):
            message = f"{self.pod.name}: the page has not changed at all since the last one"
            self.miss_page(Reason(ReasonCode.FROZEN, message), time_s)
        else:
            self._close_window(replace(reading, is_changed=is_changed))

    def miss_page(self, reason: Reason, time_s: float) -> None:
        """Note that the page of `time_s` [s] could not be used; the last good reading stays for the next window."""
        start_s = time_s if self.reading is None else self.reading.time_s
        self.reason = reason
        self.window = DemandWindow(start_s, time_s, DemandSource.NONE, pod=self.pod, reason=reason)

    def to_state(self, entry: PodEntry, now_s: float) -> PodState:
        """Return the pod's state at `now_s` [s].

        Where nobody tells when it became ready (addresses written down), its pages have to show it: it counts as ready
        once one was good, and as long as its server answers, be it badly, within `stale_after_s`.
        """
        reading = self.reading
        gauges = {} if reading is None else reading.gauges
        phase, reason = entry.phase, self.reason
        if phase is PodPhase.READY and gauges.get(Gauge.AWAKE) == 0:
            phase, reason = PodPhase.STARTING, Reason(ReasonCode.SLEEPING, f"{self.pod.name}: the engine sleeps")
        elif phase is PodPhase.READY and entry.ready_s is None and not self._shows_life(now_s - self.stale_after_s):
            phase = PodPhase.STARTING
        return PodState(
            pod=self.pod,
            phase=phase,
            created_s=entry.created_s,
            ready_s=entry.ready_s,
            seen_s=None if reading is None else reading.time_s,
            running_requests=gauges.get(Gauge.RUNNING_REQUESTS),
            waiting_requests=gauges.get(Gauge.WAITING_REQUESTS),
            kv_cache_ratio=gauges.get(Gauge.KV_CACHE_RATIO),
            kv_capacity_tokens=gauges.get(Gauge.KV_CAPACITY_TOKENS),
            reason=reason,
        )

    def to_signals(self, variant: VariantKey, now_s: float) -> PodSignals | None:
        """Return what a policy asked for at `now_s` [s], absent when the last good page is old; None where none did."""
        if self.asked is None:
            return None
        return compute_signals(
            self._signals, self.pod, variant, now_s, max_age_s=self.stale_after_s, reason=self.reason
        )

    def _shows_life(self, oldest_s: float) -> bool:
        return self.reading is not None and self.answered_s is not None and self.answered_s >= oldest_s

    def _is_changed(self, body: bytes) -> bool | None:
        """Whether the page differs from the one before, None when there was none."""
        previous, self._body_hash = self._body_hash, hash(body)
        self._repeats = self._repeats + 1 if previous == self._body_hash else 0
        return None if previous is None else previous != self._body_hash

    def _must_change(self, body: bytes) -> bool:
        """Whether a living server would have answered something else than last time.

        An idle one may show the same a few times. One that was asked for something until now hardly does: then it is
        better to wait for a sign of life than to believe that all went silent at once.
        """
        if _PAGE_COUNT in body:
            return True
        return _CPU_TIME in body and (self._arrivals != 0.0 or self._repeats > _MOST_REPEATS)

    def _close_window(self, reading: PodReading) -> None:
        start = self._find_start(reading, self.reading)
        window = compute_window(start, reading)
        if _get_code(window) is ReasonCode.COUNTER_RESET and self._saw_birth():
            start = self._find_start(reading, None)
            window = compute_window(start, reading)
        self.window = window
        self._track_signals(start, reading, _get_code(window))
        self.reason = window.reason if _get_code(window) in _UNUSABLE else None
        self._arrivals = self._arrivals if window.arrivals is None else window.arrivals
        if _get_code(window) is not ReasonCode.FROZEN:
            self.reading = choose_baseline(self.reading, reading, self.stale_after_s)

    def _track_signals(self, start: PodReading | None, reading: PodReading, fault: ReasonCode | None) -> None:
        """Take the signals of `reading`, whose window begins with `start` and has the `fault`."""
        if self.asked is None or fault in _TELLS_NO_SIGNAL:
            return
        if start is not None and start is not self.reading:  # born since the last good page
            self._signals = track_signals(SignalHistory(self.asked.specs), start)
        self._signals = track_signals(self._signals, reading)

    def _saw_birth(self) -> bool:
        """Whether it was seen not serving after the last good page."""
        return self.born_s is not None and (self.reading is None or self.born_s > self.reading.time_s)

    def _find_start(self, reading: PodReading, previous: PodReading | None) -> PodReading | None:
        """Return `previous`; without one, an empty reading of when the pod was born, if that was seen."""
        if previous is not None or self.born_s is None or self.born_s >= reading.time_s:
            return previous
        return empty_reading(self.pod, reading.model_name, reading.engine, self.born_s)


def _get_code(window: DemandWindow) -> ReasonCode | None:
    return None if window.reason is None else window.reason.code


def _choose_reading(readings: tuple[PodReading, ...], options: PageOptions, model_id: str) -> PodReading | None:
    """Return the reading of the LLM that is meant: by its served name, by its id, or the only one there is."""
    wanted = options.served_model_name or model_id
    for reading in readings:
        if reading.model_name == wanted:
            return reading
    return readings[0] if len(readings) == 1 and options.served_model_name is None else None
