"""What the HTTP layer of an engine counts: arrivals, answers, durations. It serves nothing."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from optimizer.simulation import HistogramCounts

FINE_EDGES_S = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 7.5, 10.0),
    *(30.0, 60.0),
)
COARSE_EDGES_S = (0.1, 0.5, 1.0)


@dataclass(slots=True)
class SizeSums:
    """Bodies and their bytes."""

    count: int = 0
    total_bytes: int = 0

    def add(self, size_bytes: int) -> None:
        """Count a body."""
        self.count += 1
        self.total_bytes += size_bytes


@dataclass(slots=True, eq=False)
class Visit:
    """One request at the HTTP layer.

    Attributes
    ----------
    handler, method
        What was asked, how.
    arrival_s
        When it came [s].
    request_bytes
        Length of its body as its headers give it, else 0 [bytes].
    status
        Status code of the answer, None before it begins.
    response_bytes
        Length of the answer as its headers give it, else 0 [bytes].
    """

    handler: str
    method: str
    arrival_s: float
    request_bytes: int = 0
    status: int | None = None
    response_bytes: int = 0


@dataclass(slots=True)
class HttpCounts:
    """Requests to handlers that are counted, by handler and method.

    Attributes
    ----------
    arrived
        Requests that came.
    answered
        Those whose answer began, by status code too.
    ended
        Those whose answer ended or whose client left, by class of status such as ``2xx`` too.
    first_ended_s
        When the first of each ended [s].
    active
        Those whose answer has not begun.
    request_sizes, response_sizes
        By handler.
    durations, fine_durations
        From arrival to the end [s]: by handler and method in coarse buckets, all together in fine ones.
    """

    arrived: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    answered: defaultdict[tuple[str, str, int], int] = field(default_factory=lambda: defaultdict(int))
    ended: defaultdict[tuple[str, str, str], int] = field(default_factory=lambda: defaultdict(int))
    first_ended_s: dict[tuple[str, str, str], float] = field(default_factory=dict)
    active: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    request_sizes: defaultdict[str, SizeSums] = field(default_factory=lambda: defaultdict(SizeSums))
    response_sizes: defaultdict[str, SizeSums] = field(default_factory=lambda: defaultdict(SizeSums))
    durations: dict[tuple[str, str], HistogramCounts] = field(default_factory=dict)
    fine_durations: HistogramCounts = field(default_factory=lambda: HistogramCounts(FINE_EDGES_S))

    def arrive(self, visit: Visit) -> None:
        """Count a request that came."""
        self.arrived[visit.handler, visit.method] += 1
        self.active[visit.handler, visit.method] += 1

    def answer(self, visit: Visit, status: int, response_bytes: int) -> None:
        """Count an answer that begins."""
        visit.status, visit.response_bytes = status, response_bytes
        self.answered[visit.handler, visit.method, status] += 1
        self.active[visit.handler, visit.method] -= 1

    def end(self, visit: Visit, now_s: float) -> None:
        """Count a request whose answer ended at `now_s` [s], or whose client left; without an answer yet it is 2xx."""
        if visit.status is None:
            self.active[visit.handler, visit.method] -= 1
        key = (visit.handler, visit.method, f"{(visit.status or 200) // 100}xx")
        self.ended[key] += 1
        self.first_ended_s.setdefault(key, now_s)
        self.request_sizes[visit.handler].add(visit.request_bytes)
        self.response_sizes[visit.handler].add(visit.response_bytes)
        duration_s = now_s - visit.arrival_s
        self.fine_durations.observe(duration_s)
        self.durations.setdefault(key[:2], HistogramCounts(COARSE_EDGES_S)).observe(duration_s)
