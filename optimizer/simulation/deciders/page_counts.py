"""Cumulative counts of pages by name, and what they grew by, for scalers that take means over times of their own.

A count that falls means a new process: then all of it is growth. It scales nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from optimizer.domain import Counter, Histogram, PodKey, PodReading

Counts: TypeAlias = Mapping[str, float]
"""By name: of a counter its count; of a histogram its observations (``.count``) and their sum (``.total``)."""

_COUNTERS = (
    Counter.FINISHED,
    Counter.PROMPT_TOKENS,
    Counter.CACHED_TOKENS,
    Counter.COMPUTED_TOKENS,
    Counter.ITERATIONS,
)
_HISTOGRAMS = (Histogram.TTFT, Histogram.ITL, Histogram.TTLT, Histogram.INPUT_TOKENS, Histogram.OUTPUT_TOKENS)


def read_counts(reading: PodReading) -> dict[str, float]:
    """Return the counts of one page; what it does not show is not there."""
    counts = {name.value: reading.counters[name] for name in _COUNTERS if name in reading.counters}
    for name in _HISTOGRAMS:
        histogram = reading.histograms.get(name)
        if histogram is not None:
            counts[f"{name}.count"], counts[f"{name}.total"] = histogram.count, histogram.total
    return counts


def subtract_counts(newer: Counts, older: Counts) -> dict[str, float]:
    """Return what `newer` has more than `older`; all of it when any count fell."""
    if any(newer.get(name, 0.0) < count for name, count in older.items()):
        return dict(newer)
    return {name: count - older.get(name, 0.0) for name, count in newer.items()}


def add_counts(parts: Iterable[Counts]) -> dict[str, float]:
    """Return the sums by name."""
    total: dict[str, float] = {}
    for part in parts:
        for name, count in part.items():
            total[name] = total.get(name, 0.0) + count
    return total


def find_mean(counts: Counts, histogram: Histogram) -> float | None:
    """Return the mean of what a histogram observed, None when it observed nothing."""
    observed = counts.get(f"{histogram}.count", 0.0)
    return counts[f"{histogram}.total"] / observed if observed > 0.0 else None


class CountHistory:
    """Counts of every pod over the last `window_s` [s]."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._pages: dict[PodKey, deque[tuple[float, Counts]]] = {}

    def track(self, readings: Iterable[PodReading], now_s: float) -> dict[PodKey, dict[str, float]]:
        """Return what each pod's counts grew by over the window that ends at `now_s` [s]; pods not seen are forgotten.

        A pod without a page as old as the window began within it: it counts from its first page, or, where that is the
        only one, from zero.
        """
        seen: dict[PodKey, deque[tuple[float, Counts]]] = {}
        for reading in readings:
            pages = self._pages.get(reading.pod, deque())
            if not pages or reading.time_s > pages[-1][0]:
                pages.append((reading.time_s, read_counts(reading)))
            while len(pages) > 2 and pages[1][0] <= now_s - self._window_s:
                pages.popleft()
            seen[reading.pod] = pages
        self._pages = seen
        return {pod: subtract_counts(pages[-1][1], _get_start(pages)) for pod, pages in seen.items()}


def _get_start(pages: deque[tuple[float, Counts]]) -> Counts:
    return pages[0][1] if len(pages) > 1 else {}
