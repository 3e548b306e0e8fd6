"""The metrics page of SGLang (2026), rendered from a token engine: names, labels and buckets as read in its source.

Several processes write it, so there is no ``_created`` and series appear at first use. The scheduler's gauges and token
counts are written with its log lines only, at every prefill and every 40th decode: they freeze when the engine is idle.
Names and help texts: SGLang contributors, Apache-2.0.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial

from adapter.demo.engine_settings import EngineSettings
from adapter.demo.pages.exposition import Labels, PageTemplate, Read, constant
from adapter.demo.pages.http_counts import HttpCounts
from adapter.demo.pages.sglang_texts import ACTIVE_TEXT, COUNTER_TEXTS, GAUGE_TEXTS, HISTOGRAM_TEXTS, STARTUP_TEXT
from optimizer.simulation import EndedRequest, EngineCounters, HistogramCounts, HistogramEdges, TokenEngine

CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"
DECODE_LOG_INTERVAL = 40
_FLAGS = {True: "true", False: "false"}
TTFT_EDGES_S = (*(0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 20.0, 40.0, 60.0, 80.0, 100.0, 200.0, 400.0),)
TTLT_EDGES_S = (*TTFT_EDGES_S, 600.0, 1200.0, 1800.0, 2400.0)
ITL_EDGES_S = (
    *(0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035, 0.04, 0.06, 0.08, 0.1, 0.2, 0.4, 0.6, 0.8),
    *(1.0, 2.0, 4.0, 6.0, 8.0),
)
QUEUE_EDGES_S = (
    *(0.0, 0.001, 0.005, 0.01, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0),
    *(70.0, 80.0, 90.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0, 800.0, 900.0, 1000.0, 1200.0, 1400.0),
    *(1600.0, 1800.0, 2000.0, 2500.0, 3000.0),
)
LENGTH_EDGES_TOKENS = (
    *(100.0, 300.0, 500.0, 700.0, 1000.0, 1500.0, 2000.0, 3000.0, 4000.0, 5000.0, 6000.0, 7000.0, 8000.0, 9000.0),
    *(10000.0, 12500.0, 15000.0, 17500.0, 20000.0, 22500.0, 25000.0, 27500.0, 30000.0, 35000.0, 40000.0, 60000.0),
    *(80000.0, 100000.0, 200000.0, 300000.0, 400000.0, 600000.0, 800000.0, 1000000.0, 1100000.0),
)


def compute_sglang_edges() -> HistogramEdges:
    """Return the buckets of SGLang."""
    return HistogramEdges(TTFT_EDGES_S, ITL_EDGES_S, TTLT_EDGES_S, QUEUE_EDGES_S, LENGTH_EDGES_TOKENS)


@dataclass(slots=True)
class _Logged:
    """The scheduler's state as of its last log line."""

    time_s: float
    prefill_iterations: int = 0
    decode_iterations: int = 0
    running: int = 0
    waiting: int = 0
    used_tokens: int = 0
    context_tokens: int = 0
    tokens_per_s: float = 0.0
    hit_ratio: float = 0.0
    computed_tokens: int = 0
    hit_tokens: int = 0
    decoded_tokens: int = 0


@dataclass(slots=True)
class _FrontEnd:
    """What the front end counts of requests that stream, or of those that do not."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    ttft: HistogramCounts = field(default_factory=lambda: HistogramCounts(TTFT_EDGES_S))
    ttlt: HistogramCounts = field(default_factory=lambda: HistogramCounts(TTLT_EDGES_S))


class SglangPage:
    """The page of one server.

    Parameters
    ----------
    settings, engine, http
        What it shows.
    startup_s
        How long its start took [s].
    """

    content_type = CONTENT_TYPE
    counts_scrapes = True

    def __init__(self, settings: EngineSettings, engine: TokenEngine, http: HttpCounts, startup_s: float) -> None:
        self._settings = settings
        self._engine = engine
        self._http = http
        self._startup_s = startup_s
        self._model = {"model_name": settings.model_name}
        ranks = {"engine_type": "unified", "tp_rank": "0", "pp_rank": "0", "moe_ep_rank": "0"}
        self._scheduler = {**self._model, **ranks}
        self._logged = _Logged(engine.time_s)
        self._used: list[bool] | None = None
        self._page = PageTemplate()
        self._front_end: defaultdict[bool, _FrontEnd] = defaultdict(_FrontEnd)

    def note_first_token(self, ttft_s: float, is_streaming: bool) -> None:
        """Count a first token."""
        self._front_end[is_streaming].ttft.observe(ttft_s)

    def note_finished(self, ended: EndedRequest, is_streaming: bool) -> None:
        """Count what the front end counts when a request is finished."""
        sums = self._front_end[is_streaming]
        sums.requests += 1
        sums.input_tokens += ended.request.input_tokens
        sums.output_tokens += ended.generated_tokens
        sums.ttlt.observe(ended.end_s - ended.request.arrival_s)

    def note_progress(self) -> None:
        """Write a log line if one is due."""
        counters, last = self._engine.counters, self._logged
        decodes = counters.iterations - counters.prefill_iterations
        is_prefill = counters.prefill_iterations > last.prefill_iterations
        if is_prefill or decodes // DECODE_LOG_INTERVAL > last.decode_iterations // DECODE_LOG_INTERVAL:
            self._logged = self._write_log_line(counters, last, is_prefill)

    def _write_log_line(self, counters: EngineCounters, last: _Logged, is_prefill: bool) -> _Logged:
        engine = self._engine
        passed_s = engine.time_s - last.time_s
        found = counters.prefill_hit_tokens - last.hit_tokens
        looked_up = found + counters.prefilled_tokens - last.computed_tokens
        return _Logged(
            time_s=engine.time_s,
            prefill_iterations=counters.prefill_iterations,
            decode_iterations=counters.iterations - counters.prefill_iterations,
            running=engine.running_requests,
            waiting=engine.waiting_requests,
            used_tokens=engine.kv_used_tokens,
            context_tokens=engine.context_tokens,
            tokens_per_s=(counters.decoded_tokens - last.decoded_tokens) / passed_s if passed_s else last.tokens_per_s,
            hit_ratio=found / looked_up if is_prefill and looked_up else 0.0,
            computed_tokens=counters.prefilled_tokens,
            hit_tokens=counters.prefill_hit_tokens,
            decoded_tokens=counters.decoded_tokens,
        )

    def render(self) -> str:
        """Return the page."""
        used = [bool(read()) for family in self._list_counters().values() for _, read in family]
        used += [bool(counts.count) for family in self._list_histograms().values() for _, counts in family]
        if used != self._used:
            self._used, self._page = used, self._make_template()
        return self._page.render()

    def _make_template(self) -> PageTemplate:
        """Return a page with the series that were used so far."""
        page, model = PageTemplate(), self._model
        for name, read in self._list_gauges().items():
            page.add_gauge(f"sglang:{name}", GAUGE_TEXTS[name], [(self._scheduler, read)])
        startup = [({**model, "phase": "scheduler_e2e"}, constant(self._startup_s))]
        page.add_gauge("sglang:startup_time_seconds", STARTUP_TEXT, startup)
        for name, series in self._list_counters().items():
            if used := [(labels, read) for labels, read in series if read()]:
                page.add_counter(f"sglang:{name}", COUNTER_TEXTS[name], used)
        for name, histograms in self._list_histograms().items():
            if seen := [(labels, counts) for labels, counts in histograms if counts.count]:
                page.add_histogram(f"sglang:{name}", HISTOGRAM_TEXTS[name], seen)
        active = self._http.active
        series = [({"endpoint": key[0], "method": key[1]}, partial(active.__getitem__, key)) for key in active]
        page.add_gauge("sglang:http_requests_active", ACTIVE_TEXT, series)
        return page

    def _list_gauges(self) -> dict[str, Read]:
        settings = self._settings
        pages = settings.kv_capacity_tokens // settings.block_tokens
        size_tokens = pages * settings.block_tokens
        reads: dict[str, Read] = {name: constant(0.0) for name in GAUGE_TEXTS}
        reads |= {
            "num_running_reqs": lambda: self._logged.running,
            "num_queue_reqs": lambda: self._logged.waiting,
            "gen_throughput": lambda: self._logged.tokens_per_s,
            "cache_hit_rate": lambda: self._logged.hit_ratio,
            "decode_sum_seq_lens": lambda: self._logged.context_tokens,
            "token_usage": lambda: self._logged.used_tokens / size_tokens,
            "full_token_usage": lambda: self._logged.used_tokens / size_tokens,
            "num_used_tokens": lambda: self._logged.used_tokens,
            "kv_available_tokens": lambda: size_tokens - self._logged.used_tokens,
            "kv_used_tokens": lambda: self._logged.used_tokens,
            "utilization": constant(-1.0),
            "fwd_occupancy": constant(math.nan),
            "max_total_num_tokens": constant(size_tokens),
            "page_size": constant(settings.block_tokens),
            "num_pages": constant(pages),
            "context_len": constant(settings.context_tokens),
        }
        return reads

    def _list_counters(self) -> dict[str, list[tuple[Labels, Read]]]:
        counters, scheduler, model, http = self._engine.counters, self._scheduler, self._model, self._http
        seen = [({**model, "is_streaming": _FLAGS[flag]}, sums) for flag, sums in self._front_end.items()]

        def count_cached() -> float:
            return counters.input_lengths.total - counters.computed_lengths.total

        return {
            "num_retracted_requests_total": [(scheduler, lambda: counters.preemptions)],
            "cuda_graph_passes_total": [
                ({**scheduler, "mode": "decode_cuda_graph"}, lambda: self._logged.decode_iterations)
            ],
            "realtime_tokens_total": [
                ({**scheduler, "mode": "prefill_compute"}, lambda: self._logged.computed_tokens),
                ({**scheduler, "mode": "prefill_cache"}, lambda: self._logged.hit_tokens),
                ({**scheduler, "mode": "decode"}, lambda: self._logged.decoded_tokens),
            ],
            "prompt_tokens_total": [(labels, partial(getattr, sums, "input_tokens")) for labels, sums in seen],
            "generation_tokens_total": [(labels, partial(getattr, sums, "output_tokens")) for labels, sums in seen],
            "cached_tokens_total": [({**model, "cache_source": "device"}, count_cached)],
            "num_requests_total": [(labels, partial(getattr, sums, "requests")) for labels, sums in seen],
            "num_aborted_requests_total": [(model, lambda: counters.left)],
            "http_requests_total": [
                ({"endpoint": key[0], "method": key[1]}, partial(http.arrived.__getitem__, key)) for key in http.arrived
            ],
            "http_responses_total": [
                (
                    {"endpoint": key[0], "method": key[1], "status_code": str(key[2])},
                    partial(http.answered.__getitem__, key),
                )
                for key in http.answered
            ],
        }

    def _list_histograms(self) -> dict[str, list[tuple[Labels, HistogramCounts]]]:
        counters, model = self._engine.counters, self._model
        seen = [({**model, "is_streaming": _FLAGS[flag]}, sums) for flag, sums in self._front_end.items()]
        return {
            "queue_time_seconds": [(self._scheduler, counters.queue_time)],
            "prompt_tokens_histogram": [(model, counters.input_lengths)],
            "uncached_prompt_tokens_histogram": [(model, counters.computed_lengths)],
            "generation_tokens_histogram": [(model, counters.output_lengths)],
            "time_to_first_token_seconds": [(labels, sums.ttft) for labels, sums in seen],
            "inter_token_latency_seconds": [(model, counters.itl)],
            "e2e_request_latency_seconds": [(labels, sums.ttlt) for labels, sums in seen],
        }
