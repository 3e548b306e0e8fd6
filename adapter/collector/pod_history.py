"""What is remembered of one pod between two pages, and the window its newest page closes. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

from adapter.collector.options import PageOptions
from adapter.collector.read_page import read_page
from adapter.errors import BadDocument
from adapter.inventory import PodEntry
from optimizer import compute_window, empty_reading
from optimizer.domain import (
    DemandSource,
    DemandWindow,
    Gauge,
    PodKey,
    PodPhase,
    PodReading,
    PodState,
    Reason,
    ReasonCode,
)

_LIVING_SIGN = b"process_cpu_seconds_total"  # a server that answers at all spends time doing so


@dataclass(slots=True)
class PodHistory:
    """One pod as its pages told it.

    Attributes
    ----------
    pod
        Identity.
    born_s
        Moment since which it is known to serve, when that was seen happening [s]; its first window starts there.
    reading
        The last good one.
    window
        Closed by the newest page, or absent with the reason.
    reason
        Why the newest page could not be used, None when it could.
    """

    pod: PodKey
    born_s: float | None = None
    reading: PodReading | None = None
    window: DemandWindow | None = None
    reason: Reason | None = None
    _body_hash: int = 0

    def take_page(self, body: bytes, options: PageOptions, model_id: str, time_s: float) -> None:
        """Take the page `body`, fetched at `time_s` [s]."""
        try:
            readings = read_page(body, options.engine, self.pod, time_s)
        except BadDocument as problem:
            self.miss_page(Reason(ReasonCode.BAD_PAGE, f"{self.pod.name}: {problem}"), time_s)
            return
        reading = _choose_reading(readings, options, model_id)
        if reading is None:
            names = ", ".join(sorted(entry.model_name for entry in readings)) or "none"
            message = f"{self.pod.name}: the page has no numbers of {model_id!r}; it has {names}"
            self.miss_page(Reason(ReasonCode.METRIC_MISSING, message), time_s)
            return
        if self._is_frozen(body):
            message = f"{self.pod.name}: the page has not changed at all since the last one"
            self.miss_page(Reason(ReasonCode.FROZEN, message), time_s)
            return
        self._close_window(reading)

    def miss_page(self, reason: Reason, time_s: float) -> None:
        """Note that the page of `time_s` [s] could not be used; the last good reading stays for the next window."""
        start_s = time_s if self.reading is None else self.reading.time_s
        self.reason = reason
        self.window = DemandWindow(start_s, time_s, DemandSource.NONE, pod=self.pod, reason=reason)

    def to_state(self, entry: PodEntry, now_s: float, stale_after_s: float) -> PodState:
        """Return the pod's state at `now_s` [s]; pages older than `stale_after_s` [s] do not vouch for readiness."""
        reading = self.reading
        gauges = {} if reading is None else reading.gauges
        phase, reason = entry.phase, self.reason
        if phase is PodPhase.READY and gauges.get(Gauge.AWAKE) == 0:
            phase, reason = PodPhase.STARTING, Reason(ReasonCode.SLEEPING, f"{self.pod.name}: the engine sleeps")
        elif phase is PodPhase.READY and entry.ready_s is None:
            is_seen = reading is not None and now_s - reading.time_s <= stale_after_s
            phase = PodPhase.READY if is_seen else PodPhase.STARTING
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

    def _is_frozen(self, body: bytes) -> bool:
        """Whether a living server would have answered something else than last time."""
        previous, self._body_hash = self._body_hash, hash(body)
        return previous == self._body_hash and self.reading is not None and _LIVING_SIGN in body

    def _close_window(self, reading: PodReading) -> None:
        previous = self.reading
        if previous is None and self.born_s is not None and self.born_s < reading.time_s:
            previous = empty_reading(self.pod, reading.model_name, reading.engine, self.born_s)
        self.window = compute_window(previous, reading)
        self.reading = reading
        frozen = self.window.reason is not None and self.window.reason.code is ReasonCode.FROZEN
        self.reason = self.window.reason if frozen else None


def _choose_reading(readings: tuple[PodReading, ...], options: PageOptions, model_id: str) -> PodReading | None:
    """Return the reading of the LLM that is meant: by its served name, by its id, or the only one there is."""
    wanted = options.served_model_name or model_id
    for reading in readings:
        if reading.model_name == wanted:
            return reading
    return readings[0] if len(readings) == 1 and options.served_model_name is None else None
