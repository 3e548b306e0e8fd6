"""The gateway source: arrivals and held requests of an LLM, counted outside its pods. It fetches one page."""

from __future__ import annotations

import math
from collections.abc import Mapping

from adapter.clock import Clock
from adapter.collector.exposition import PageReader, parse_labels
from adapter.collector.fetch import PageSource, PageUnusable
from adapter.collector.options import GatewayOptions
from adapter.errors import BadDocument
from optimizer.domain import DemandSource, DemandWindow, Reason, ReasonCode

_REQUESTS, _WAITING = "requests", "waiting"


class GatewayHistory:
    """What is remembered of one gateway counter between two pages."""

    def __init__(self, options: GatewayOptions) -> None:
        self.options = options
        self._reader = PageReader({options.requests_metric: _REQUESTS, options.waiting_metric: _WAITING})
        self._requests: float | None = None
        self._time_s = 0.0

    def take_page(self, body: bytes, time_s: float) -> DemandWindow:
        """Return the window that the page `body`, fetched at `time_s` [s], closes."""
        try:
            requests, waiting = self._read(body)
        except BadDocument as problem:
            return self.miss_page(Reason(ReasonCode.BAD_PAGE, f"gateway {self.options.url}: {problem}"), time_s)
        if requests is None:
            message = f"gateway {self.options.url}: no {self.options.requests_metric} with {dict(self.options.labels)}"
            return self.miss_page(Reason(ReasonCode.METRIC_MISSING, message), time_s, waiting)
        previous, start_s = self._requests, self._time_s
        self._requests, self._time_s = requests, time_s
        if previous is None:
            return _absent(time_s, time_s, ReasonCode.FIRST_READING, "gateway: its first page", waiting)
        if requests < previous:
            return _absent(start_s, time_s, ReasonCode.COUNTER_RESET, "gateway: its counter went back", waiting)
        return DemandWindow(
            start_s, time_s, DemandSource.GATEWAY, arrivals=requests - previous, waiting_requests=waiting
        )

    def miss_page(self, reason: Reason, time_s: float, waiting: float | None = None) -> DemandWindow:
        """Return the absent window of a page that could not be used; the last counter stays for the next window."""
        start_s = time_s if self._requests is None else self._time_s
        return _absent(start_s, time_s, reason.code, reason.message, waiting)

    def _read(self, body: bytes) -> tuple[float | None, float | None]:
        samples = self._reader.read(body).samples
        return self._sum(samples.get(_REQUESTS)), self._sum(samples.get(_WAITING))

    def _sum(self, samples: Mapping[bytes, float] | None) -> float | None:
        """Return the sum over the series that the labels select, None when there is none."""
        wanted = self.options.labels.items()
        values = [value for raw, value in (samples or {}).items() if wanted <= parse_labels(raw).items()]
        return sum(values) if values and math.isfinite(sum(values)) else None


async def collect_gateway(history: GatewayHistory, fetcher: PageSource, clock: Clock) -> DemandWindow:
    """Return the newest window of one gateway, timed by `clock`."""
    try:
        body = await fetcher.fetch(history.options.url)
    except PageUnusable as failure:
        return history.miss_page(failure.reason, clock.now_s())
    return history.take_page(body, clock.now_s())


def _absent(start_s: float, end_s: float, code: ReasonCode, message: str, waiting: float | None = None) -> DemandWindow:
    reason = Reason(code, message)
    return DemandWindow(start_s, end_s, DemandSource.NONE, waiting_requests=waiting, reason=reason)
