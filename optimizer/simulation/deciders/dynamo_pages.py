"""What Dynamo's planner makes of pages: requests and lengths by interval, load of replicas, iterations. No decision.

The peer measures every iteration; a page tells means over a scrape.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from optimizer.domain import Counter, Gauge, Histogram, PodKey, PodReading, Variant
from optimizer.policy.dynamo import DecodeLoad, IterationSample, MeanLengths, PlannerSettings, SampleStore
from optimizer.simulation.deciders.page_counts import Counts, find_mean, read_counts, subtract_counts

KEPT_INTERVALS = 64
"""Intervals that are looked back on."""


@dataclass(slots=True)
class Intervals:
    """Counts of the pages of the last decision, what the intervals before it told, and the last move [s]."""

    pages: dict[PodKey, Counts] = field(default_factory=dict)
    requests: list[float] = field(default_factory=list)
    inputs: list[float] = field(default_factory=list)
    outputs: list[float] = field(default_factory=list)
    lengths: MeanLengths | None = None
    moved_s: float = 0.0

    def track(self, readings: Iterable[PodReading], living: set[PodKey]) -> dict[PodKey, dict[str, float]]:
        """Return what the counts of each pod grew by since the last decision; those of a new pod count from zero."""
        pages = {reading.pod: read_counts(reading) for reading in readings}
        grown = {pod: subtract_counts(counts, self.pages.get(pod, {})) for pod, counts in pages.items()}
        self.pages = {**{pod: counts for pod, counts in self.pages.items() if pod in living}, **pages}
        return grown

    def remember(self, grown: Counts) -> None:
        """Note the requests of an interval, and their lengths; those of one without any stay unknown."""
        inputs, outputs = find_mean(grown, Histogram.INPUT_TOKENS), find_mean(grown, Histogram.OUTPUT_TOKENS)
        if inputs is not None and outputs is not None:
            prompts = grown.get(Counter.PROMPT_TOKENS, 0.0)
            cached_ratio = grown.get(Counter.CACHED_TOKENS, 0.0) / prompts if prompts > 0.0 else 0.0
            self.lengths = MeanLengths(inputs, outputs, min(cached_ratio, 1.0))
            self.inputs.append(inputs)
            self.outputs.append(outputs)
        if self.lengths is not None:
            self.requests.append(grown.get(Counter.FINISHED, 0.0))
        for values in (self.requests, self.inputs, self.outputs):
            del values[:-KEPT_INTERVALS]


@dataclass(slots=True)
class PlannerMemory:
    """Of one pool, or of a pair: what its pages told, and measured iterations."""

    samples: SampleStore
    intervals: Intervals = field(default_factory=Intervals)

    @classmethod
    def start(cls, settings: PlannerSettings) -> PlannerMemory:
        """Return the memory before the first page."""
        kept = SampleStore((), settings.most_samples, settings.cells, settings.least_observations)
        return cls(kept)


def find_decode_load(readings: Iterable[PodReading], lengths: MeanLengths, variant: Variant) -> DecodeLoad | None:
    """Return the contexts held, and, as queued, the prompts that wait; None when a page or a cache does not tell."""
    usual = None if variant.performance is None else variant.performance.kv_capacity_tokens
    known = []
    for reading in readings:
        size, share = _find_cache(reading, usual)
        waiting = reading.gauges.get(Gauge.WAITING_REQUESTS)
        running = reading.gauges.get(Gauge.RUNNING_REQUESTS)
        if not size or share is None or waiting is None or running is None:
            return None
        known.append((size * share, waiting * lengths.input_tokens, running, size))
    if not known:
        return None
    held, queued, running_requests, sizes = zip(*known, strict=True)
    return DecodeLoad(held, queued, lengths.context_tokens, sum(running_requests) / len(known), min(sizes))


def sample_aggregated(reading: PodReading, grown: Counts) -> IterationSample | None:
    """Return the mean iteration since the last page: its prompt tokens, the tokens held, and the mean ITL."""
    time_s, iterations = find_mean(grown, Histogram.ITL), grown.get(Counter.ITERATIONS, 0.0)
    size, share = _find_cache(reading, None)
    if time_s is None or iterations <= 0.0 or size is None or share is None:
        return None
    prompts = grown.get(Counter.COMPUTED_TOKENS, grown.get(Counter.PROMPT_TOKENS, 0.0))
    return IterationSample((prompts / iterations, size * share), time_s)


def sample_decode(reading: PodReading, grown: Counts) -> IterationSample | None:
    """Return the mean iteration of a decode engine: its requests, the tokens held, and the mean ITL."""
    time_s, running = find_mean(grown, Histogram.ITL), reading.gauges.get(Gauge.RUNNING_REQUESTS)
    size, share = _find_cache(reading, None)
    if time_s is None or running is None or size is None or share is None:
        return None
    return IterationSample((running, size * share), time_s)


def _find_cache(reading: PodReading, usual_tokens: float | None) -> tuple[float | None, float | None]:
    """Return the size of the KV cache [tokens] and the share in use [0-1]."""
    return reading.gauges.get(Gauge.KV_CAPACITY_TOKENS, usual_tokens), reading.gauges.get(Gauge.KV_CACHE_RATIO)
