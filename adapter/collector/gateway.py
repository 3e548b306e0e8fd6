"""The gateway source: arrivals and held requests of an LLM, counted outside its pods. It fetches one page."""

from __future__ import annotations

import math

from adapter.clock import Clock
from adapter.collector.exposition import read_samples
from adapter.collector.fetch import PageFetcher, PageUnusable
from adapter.collector.options import GatewayOptions
from adapter.errors import BadDocument
from optimizer.domain import DemandSource, DemandWindow, Reason, ReasonCode


class GatewayHistory:
    """What is remembered of one gateway counter between two pages."""

    def __init__(self, options: GatewayOptions) -> None:
        self.options = options
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
        sums: dict[str, float] = {}
        wanted = (self.options.requests_metric, self.options.waiting_metric)
        for sample in read_samples(body, frozenset(wanted)):
            matches = all(sample.labels.get(key) == value for key, value in self.options.labels.items())
            if matches and math.isfinite(sample.value):
                sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
        return sums.get(wanted[0]), sums.get(wanted[1])


async def collect_gateway(history: GatewayHistory, fetcher: PageFetcher, clock: Clock) -> DemandWindow:
    """Return the newest window of one gateway, timed by `clock`."""
    try:
        body = await fetcher.fetch(history.options.url)
    except PageUnusable as failure:
        return history.miss_page(failure.reason, clock.now_s())
    return history.take_page(body, clock.now_s())


def _absent(start_s: float, end_s: float, code: ReasonCode, message: str, waiting: float | None = None) -> DemandWindow:
    reason = Reason(code, message)
    return DemandWindow(start_s, end_s, DemandSource.NONE, waiting_requests=waiting, reason=reason)
