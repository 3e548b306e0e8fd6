"""The gateway of one LLM as a page: what it had counted when it was read, and the window that its newest page closes.

A page that could not be had changes nothing but the reason: the window that the next one closes begins where the last
good one ended. It reads no router.
"""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.domain import DemandSource, DemandWindow, Reason, ReasonCode
from optimizer.simulation.ticks import to_s


@dataclass(frozen=True, slots=True)
class GatewayPage:
    """What a gateway shows.

    Attributes
    ----------
    arrived
        Requests that came since the start.
    held
        Requests that wait in it.
    """

    arrived: int
    held: int


class GatewayMemory:
    """One gateway as its pages told it.

    Attributes
    ----------
    window
        Closed by the newest page, or absent with the reason; None before the first.
    """

    def __init__(self) -> None:
        self.window: DemandWindow | None = None
        self._arrived = 0
        self._taken_ns: int | None = None

    def is_new(self, time_ns: int) -> bool:
        """Return whether a page of `time_ns` [ns] is newer than the last that was had."""
        return self._taken_ns is None or time_ns > self._taken_ns

    def take(self, page: GatewayPage, time_ns: int) -> None:
        """Take a newer page, of `time_ns` [ns]."""
        before_ns, before = self._taken_ns, self._arrived
        self._taken_ns, self._arrived = time_ns, page.arrived
        time_s, held = to_s(time_ns), float(page.held)
        if before_ns is None:
            first = Reason(ReasonCode.FIRST_READING, "gateway: its first page; the next one closes a window")
            self.window = DemandWindow(time_s, time_s, DemandSource.NONE, waiting_requests=held, reason=first)
            return
        arrivals, source = float(page.arrived - before), DemandSource.GATEWAY
        self.window = DemandWindow(to_s(before_ns), time_s, source, arrivals=arrivals, waiting_requests=held)

    def miss(self, time_ns: int) -> None:
        """Note that the page of `time_ns` [ns] could not be had."""
        start_ns = time_ns if self._taken_ns is None else self._taken_ns
        reason = Reason(ReasonCode.SCRAPE_FAILED, "gateway: no answer")
        self.window = DemandWindow(to_s(start_ns), to_s(time_ns), DemandSource.NONE, reason=reason)
