"""What the metrics page of a simulated engine says, as the collector of the product would read it, without the text.

A page is copied when it is scraped and understood only when somebody looks at it. The engine is read as vLLM's page
shows it: requests at the HTTP layer are counted when they end, everything else where vLLM counts it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import accumulate
from operator import attrgetter

from optimizer.domain import (
    Counter,
    Gauge,
    Histogram,
    HistogramReading,
    PodKey,
    PodReading,
    SignalKind,
    SignalSpec,
)
from optimizer.simulation.counts import EngineCounters, HistogramCounts
from optimizer.simulation.engine import TokenEngine
from optimizer.simulation.ticks import to_s

ENGINE = "vllm"
_HANDLER = "/v1/chat/completions"
_HISTOGRAMS: Mapping[Histogram, str] = {
    Histogram.TTFT: "ttft",
    Histogram.ITL: "itl",
    Histogram.TTLT: "ttlt",
    Histogram.QUEUE_TIME: "queue_time",
    Histogram.INPUT_TOKENS: "input_lengths",
    Histogram.OUTPUT_TOKENS: "output_lengths",
    Histogram.SEQUENCES: "sequences",
}
_SERIES_OF_HISTOGRAMS: Mapping[str, str] = {
    "vllm:time_to_first_token_seconds": "ttft",
    "vllm:inter_token_latency_seconds": "itl",
    "vllm:time_per_output_token_seconds": "itl",
    "vllm:e2e_request_latency_seconds": "ttlt",
    "vllm:request_queue_time_seconds": "queue_time",
    "vllm:request_prefill_time_seconds": "prefill_time",
    "vllm:request_decode_time_seconds": "decode_time",
    "vllm:request_inference_time_seconds": "inference_time",
    "vllm:request_time_per_output_token_seconds": "mean_itl",
    "vllm:request_prompt_tokens": "input_lengths",
    "vllm:request_generation_tokens": "output_lengths",
    "vllm:request_params_max_tokens": "bounds",
    "vllm:request_params_n": "sequences",
    "vllm:iteration_tokens_total": "iteration_tokens",
}
_SERIES_OF_GAUGES: Mapping[str, Gauge] = {
    "vllm:num_requests_running": Gauge.RUNNING_REQUESTS,
    "vllm:num_requests_waiting": Gauge.WAITING_REQUESTS,
    "vllm:kv_cache_usage_perc": Gauge.KV_CACHE_RATIO,
    "vllm:gpu_cache_usage_perc": Gauge.KV_CACHE_RATIO,
}
_GET_COUNTS = attrgetter("rejected", "left", "prompt_tokens", "cached_tokens", "generated_tokens", "preemptions")
_Labeled = tuple[tuple[Mapping[str, str], float], ...]


def _list_http(counts: EngineCounters) -> _Labeled:
    ended = (("2xx", counts.finished + counts.left), ("5xx", counts.rejected))
    return tuple(
        ({"handler": _HANDLER, "method": "POST", "status": status}, float(count)) for status, count in ended if count
    )


_SERIES_OF_COUNTS: Mapping[str, Callable[[EngineCounters], _Labeled]] = {
    "vllm:request_success": lambda counts: tuple(
        ({"finished_reason": reason}, float(count)) for reason, count in counts.finished_by_reason.items()
    ),
    "vllm:prompt_tokens": lambda counts: (({}, float(counts.prompt_tokens)),),
    "vllm:prompt_tokens_cached": lambda counts: (({}, float(counts.cached_tokens)),),
    "vllm:generation_tokens": lambda counts: (({}, float(counts.generated_tokens)),),
    "vllm:num_preemptions": lambda counts: (({}, float(counts.preemptions)),),
    "vllm:prefix_cache_queries": lambda counts: (({}, float(counts.queried_tokens)),),
    "vllm:prefix_cache_hits": lambda counts: (({}, float(counts.hit_tokens)),),
    "vllm:admission_rejections": lambda counts: (({}, float(counts.rejected)),),
    "http_requests": _list_http,
}


class PageForm:
    """Which figures are copied from the pages of one LLM.

    Parameters
    ----------
    model_name
        As the engines call it.
    specs
        Series that somebody asked for besides.
    """

    def __init__(self, model_name: str, specs: tuple[SignalSpec, ...] = ()) -> None:
        self.model_name, self.specs = model_name, specs
        asked = {_find_histogram(spec) for spec in specs} - {None}
        self.histograms = tuple(dict.fromkeys((*_HISTOGRAMS.values(), *sorted(name for name in asked if name))))
        self.get_histograms: Callable[[EngineCounters], tuple[HistogramCounts, ...]] = attrgetter(*self.histograms)
        self.counts = tuple(
            (spec, read) for spec in specs if (read := _SERIES_OF_COUNTS.get(spec.series.removesuffix("_total")))
        )


class PageBody:
    """What one engine had counted when it was copied."""

    __slots__ = (
        "_counts",
        "_form",
        "_histograms",
        "_kv_used_ratio",
        "_limits",
        "_read",
        "_series",
        "_steps",
        "signature",
        "start_s",
    )

    def __init__(
        self, engine: TokenEngine, form: PageForm, start_s: float, signature: tuple[int, ...] | None = None
    ) -> None:
        counters = engine.counters
        self.signature = signature or sign(engine)
        self.start_s = start_s
        self._form, self._limits = form, engine.limits
        self._counts = _GET_COUNTS(counters)
        self._steps = counters.iteration_tokens.count
        self._kv_used_ratio = engine.kv_used_ratio
        self._histograms = [(one.edges, tuple(one.counts), one.total) for one in form.get_histograms(counters)]
        self._series = tuple((spec, read(counters)) for spec, read in form.counts)
        self._read: PodReading | None = None

    def is_of_idle(self, engine: TokenEngine | None) -> bool:
        """Whether `engine`, known to have no requests, had none here either and was asked for nothing since."""
        _, accepted, rejected, _, _, running, waiting = self.signature
        if running or waiting or engine is None:
            return False
        return accepted == engine.counters.accepted and rejected == engine.counters.rejected

    def to_reading(self, pod: PodKey, time_ns: int, *, is_first: bool) -> PodReading:
        """Return the reading of the page of `time_ns` [ns]; only the first of a pod could not be compared."""
        whole = self._read or self._understand(pod)
        self._read = whole
        return PodReading(
            pod,
            whole.model_name,
            ENGINE,
            to_s(time_ns),
            self.start_s,
            whole.counters,
            whole.gauges,
            whole.histograms,
            whole.series,
            is_changed=None if is_first else True,
        )

    def _understand(self, pod: PodKey) -> PodReading:
        copied = zip(self._form.histograms, self._histograms, strict=True)
        by_name = {name: _to_reading(*histogram) for name, histogram in copied}
        histograms = {histogram: by_name[name] for histogram, name in _HISTOGRAMS.items()}
        counters, gauges = self._list_counters(), self._list_gauges()
        series = self._read_series(by_name, gauges)
        return PodReading(
            pod,
            self._form.model_name,
            ENGINE,
            0.0,
            counters=counters,
            gauges=gauges,
            histograms=histograms,
            series=series,
        )

    def _list_counters(self) -> dict[Counter, float]:
        rejected, left, prompt_tokens, cached_tokens, generated_tokens, preemptions = map(float, self._counts)
        finished = float(self.signature[4])
        found: dict[Counter, float] = {
            Counter.REJECTED: rejected,
            Counter.FINISHED: finished,
            Counter.PROMPT_TOKENS: prompt_tokens,
            Counter.CACHED_TOKENS: cached_tokens,
            Counter.COMPUTED_TOKENS: prompt_tokens - cached_tokens,
            Counter.GENERATED_TOKENS: generated_tokens,
            Counter.PREEMPTIONS: preemptions,
            Counter.ITERATIONS: float(self._steps),
        }
        if finished + left + rejected:  # a series of the HTTP layer appears when it is first used
            found[Counter.HTTP_REQUESTS] = finished + left + rejected
            found[Counter.HTTP_OK] = finished + left
        return found

    def _list_gauges(self) -> dict[Gauge, float]:
        limits = self._limits
        return {
            Gauge.RUNNING_REQUESTS: float(self.signature[5]),
            Gauge.WAITING_REQUESTS: float(self.signature[6]),
            Gauge.KV_CACHE_RATIO: self._kv_used_ratio,
            Gauge.KV_CAPACITY_TOKENS: float(limits.kv_capacity_tokens // limits.block_tokens * limits.block_tokens),
            Gauge.AWAKE: 1.0,
        }

    def _read_series(
        self, by_name: Mapping[str, HistogramReading], gauges: Mapping[Gauge, float]
    ) -> dict[str, float | HistogramReading]:
        common = {"model_name": self._form.model_name, "engine": "0"}
        found: dict[str, float | HistogramReading] = {}
        for spec, labeled in self._series:
            values = [value for labels, value in labeled if spec.labels.items() <= {**common, **labels}.items()]
            if labeled:  # a count stands at 0 where the name is on the page, and nothing of it is meant
                found[spec.name] = sum(values, 0.0)
        for spec in self._form.specs:
            if spec.name in found or not spec.labels.items() <= common.items():
                continue
            gauge, histogram = _SERIES_OF_GAUGES.get(spec.series), _find_histogram(spec)
            if gauge is not None:
                found[spec.name] = gauges[gauge]
            elif histogram is not None:
                found[spec.name] = _take_part(by_name[histogram], spec)
        return found


def sign(engine: TokenEngine) -> tuple[int, ...]:
    """Return figures of which one at least differs whenever anything on the page does."""
    counters = engine.counters
    return (
        counters.iterations,
        counters.accepted,
        counters.rejected,
        counters.left,
        counters.finished,
        engine.running_requests,
        engine.waiting_requests,
    )


def _to_reading(edges: tuple[float, ...], counts: tuple[int, ...], total: float) -> HistogramReading:
    *cumulative, count = accumulate(counts)
    return HistogramReading(edges, tuple(map(float, cumulative)), float(count), total)


def _find_histogram(spec: SignalSpec) -> str | None:
    for suffix in ("", "_count", "_sum", "_bucket"):
        name = _SERIES_OF_HISTOGRAMS.get(spec.series.removesuffix(suffix))
        if name is not None:
            return name
    return None


def _take_part(reading: HistogramReading, spec: SignalSpec) -> float | HistogramReading:
    """Return what of a histogram `spec` names: all of it, its count or its sum."""
    if spec.kind is SignalKind.QUANTILE:
        return reading
    if spec.series.endswith("_sum"):
        return reading.total
    return reading.count if spec.series.endswith("_count") else reading
