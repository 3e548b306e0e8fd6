"""Readings and histograms for tests, with what matters named and the rest left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from optimizer.domain import Counter, Gauge, Histogram, HistogramReading, PodKey, PodReading

POD = PodKey("prod", "pod-0", "1")
MODEL_NAME = "tiny-llama"


def make_reading(
    time_s: float,
    counters: Mapping[Counter, float] | None = None,
    *,
    running: float | None = 0.0,
    waiting: float | None = 0.0,
    histograms: Mapping[Histogram, HistogramReading] | None = None,
    start_s: float | None = None,
    pod: PodKey = POD,
    engine: str = "vllm",
    ranks: int = 1,
) -> PodReading:
    requests = {Gauge.RUNNING_REQUESTS: running, Gauge.WAITING_REQUESTS: waiting}
    gauges = {gauge: value for gauge, value in requests.items() if value is not None}
    return PodReading(
        pod, MODEL_NAME, engine, time_s, start_s, dict(counters or {}), gauges, dict(histograms or {}), ranks=ranks
    )


def make_histogram(edges: Sequence[float], values: Sequence[float]) -> HistogramReading:
    """Return the cumulative histogram of `values`."""
    cumulative = tuple(float(sum(value <= edge for value in values)) for edge in edges)
    return HistogramReading(tuple(map(float, edges)), cumulative, float(len(values)), float(sum(values)))


def make_count(count: float, total: float = 0.0) -> HistogramReading:
    """Return a histogram of which only count and sum are known."""
    return HistogramReading((), (), count, total)
