"""The gateway source: arrivals and held requests of an LLM, counted outside its pods, from pages to windows. No I/O."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from adapter.collector.exposition import PageReader, parse_labels
from adapter.collector.options import GatewayOptions
from adapter.errors import BadDocument
from optimizer.domain import DemandSource, DemandWindow, Reason, ReasonCode

_REQUESTS, _WAITING = "requests", "waiting"
_CPU_TIME = b"\nprocess_cpu_seconds_total "  # a server that has anything to do spends time doing so
_SILENT_AT_MOST = 5.0
"""Arrivals that pods may show while the gateway shows none [requests]: those on the way when the pages were taken."""
_MOST_SERIES = 10_000


class GatewayHistory:
    """One gateway counter as its pages told it.

    Differences are taken per series and added up. A series that appears beside others, or on a page that showed the
    metric without it, began at 0: its first value was asked for since. That wakes an LLM at its very first request.

    Attributes
    ----------
    options
        Which series of which page.
    window
        Closed by the newest page, or absent with the reason; None before the first page was asked for.
    reason
        Why the newest page could not be used, None when it could.
    """

    def __init__(self, options: GatewayOptions) -> None:
        self.options = options
        self.window: DemandWindow | None = None
        self.reason: Reason | None = None
        self._reader = PageReader({options.requests_metric: _REQUESTS, options.waiting_metric: _WAITING})
        self._family = re.compile(_to_family(options.requests_metric))
        self._counts: dict[bytes, float] | None = None
        self._time_s = 0.0
        self._body_hash: int | None = None
        self._arrivals: float | None = None
        self._unseen_arrivals = 0.0

    def take_page(self, body: bytes, time_s: float) -> None:
        """Take the page `body`, of `time_s` [s]."""
        previous_hash, self._body_hash = self._body_hash, hash(body)
        if previous_hash == self._body_hash and _CPU_TIME in body and self._arrivals != 0.0:
            self._miss(ReasonCode.FROZEN, "the page has not changed at all since the last one", time_s)
            return
        try:
            samples = self._read(body)
        except BadDocument as problem:
            self._miss(ReasonCode.BAD_PAGE, str(problem), time_s)
            return
        counts = self._select(samples.get(_REQUESTS))
        waiting = self._select(samples.get(_WAITING))
        held = sum(waiting.values()) if waiting else None
        if counts:
            self._close_window(counts, held, time_s)
            return
        if self._counts is None and self._shows_whole_metric(body):
            self._counts, self._time_s = {}, time_s
        message = f"no {self.options.requests_metric} with {dict(self.options.labels)}"
        self._miss(ReasonCode.METRIC_MISSING, message, time_s, held)

    def miss_page(self, reason: Reason, time_s: float) -> None:
        """Note that the page of `time_s` [s] could not be had; the last counts stay for the next window."""
        self._miss(reason.code, reason.message, time_s)

    def compare(self, pods: Iterable[DemandWindow]) -> None:
        """Doubt the newest window if it is silent while the windows of its `pods` show arrivals in the same time.

        A page may stand still without looking so; what pods count then says that requests do arrive.
        """
        window = self.window
        if window is None or window.arrivals is None:
            return
        earliest_s = window.start_s - 0.5 * window.duration_s
        seen_by_pods = sum(pod.arrivals or 0.0 for pod in pods if pod.start_s >= earliest_s)
        self._unseen_arrivals = 0.0 if window.arrivals > 0.0 else self._unseen_arrivals + seen_by_pods
        if self._unseen_arrivals > _SILENT_AT_MOST:
            message = f"it shows no request, while its pods were asked {self._unseen_arrivals:.0f}"
            self.reason = self._explain(ReasonCode.FROZEN, message)
            self.window = _absent(window.start_s, window.end_s, self.reason, None)

    def _read(self, body: bytes) -> Mapping[str, Mapping[bytes, float]]:
        """Return the samples of both metrics; none where the page shows the counter without any series."""
        try:
            return self._reader.read(body).samples
        except BadDocument:
            if self._shows_whole_metric(body):
                return {}
            raise

    def _shows_whole_metric(self, body: bytes) -> bool:
        """Whether the page has the counter, be it without series, and goes on behind it, so that none was cut off."""
        if self._family.search(body) is None or not body.endswith((b"\n", b"# EOF")):
            return False
        return self._family.match(body.rstrip().rpartition(b"\n")[2]) is None

    def _select(self, samples: Mapping[bytes, float] | None) -> dict[bytes, float]:
        """Return the series that the labels select; none when one of them is no count."""
        wanted = self.options.labels.items()
        chosen = {raw: value for raw, value in (samples or {}).items() if wanted <= parse_labels(raw).items()}
        return chosen if all(math.isfinite(value) and value >= 0.0 for value in chosen.values()) else {}

    def _close_window(self, counts: dict[bytes, float], held: float | None, time_s: float) -> None:
        previous, start_s = self._counts, self._time_s
        if previous is not None and time_s <= start_s:
            self._miss(ReasonCode.STALE, "the page is not newer than the one before", time_s)
            return
        gone = {raw: value for raw, value in (previous or {}).items() if raw not in counts}
        self._counts = {**gone, **counts} if len(gone) + len(counts) <= _MOST_SERIES else counts
        self._time_s, self.reason = time_s, None
        steps = [value - (previous or {}).get(raw, 0.0) for raw, value in counts.items()]
        if previous is None:
            first = self._explain(ReasonCode.FIRST_READING, "its first page; the next one closes a window")
            self.window = _absent(time_s, time_s, first, held)
        elif min(steps) < 0.0:
            reset = self._explain(ReasonCode.COUNTER_RESET, f"{self.options.requests_metric} went back")
            self.window = _absent(start_s, time_s, reset, held)
        else:
            source, self._arrivals = DemandSource.GATEWAY, sum(steps)
            self.window = DemandWindow(start_s, time_s, source, arrivals=self._arrivals, waiting_requests=held)

    def _miss(self, code: ReasonCode, message: str, time_s: float, held: float | None = None) -> None:
        start_s = time_s if self._counts is None else min(self._time_s, time_s)
        self.reason = self._explain(code, message)
        self.window = _absent(start_s, time_s, self.reason, held)

    def _explain(self, code: ReasonCode, message: str) -> Reason:
        return Reason(code, f"gateway {self.options.url}: {message}")


def _absent(start_s: float, end_s: float, reason: Reason, held: float | None) -> DemandWindow:
    return DemandWindow(start_s, end_s, DemandSource.NONE, waiting_requests=held, reason=reason)


def _to_family(metric: str) -> bytes:
    """Return an expression for the lines of `metric`: samples, and those that declare it, be it without ``_total``."""
    name = re.escape(metric.removesuffix("_total"))
    return rf"(?m)^(?:# (?:TYPE|HELP) )?{name}(?:_total|_created)?(?=[ \t{{])".encode()
