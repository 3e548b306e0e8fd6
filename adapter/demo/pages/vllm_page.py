"""The metrics page of vLLM 0.32, rendered from a token engine: names, labels, help texts and buckets as the real one.

One engine, one API process. Names and help texts: vLLM contributors, Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from adapter.demo.engine_settings import EngineSettings
from adapter.demo.pages.exposition import Labels, PageTemplate, Read, constant
from adapter.demo.pages.http_counts import HttpCounts
from adapter.demo.pages.vllm_texts import CACHE_CONFIG, HTTP_TEXTS, TEXTS
from optimizer.simulation import EndedRequest, HistogramCounts, TokenEngine

ENGINE = "0"
CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"
SCRAPE_CPU_S = 0.018
"""CPU time one answer with the page takes [s], as on a real server: by it a living page differs from a frozen one."""

_HTTP_LABELS = ("handler", "method", "status")

_zero = constant(0.0)


class VllmPage:
    """The page of one server.

    Parameters
    ----------
    settings, engine, http
        What it shows.
    started_s, created_s
        When the process started, and when its metrics were made [Unix s].
    """

    content_type = CONTENT_TYPE
    counts_scrapes = False

    def __init__(
        self, settings: EngineSettings, engine: TokenEngine, http: HttpCounts, started_s: float, created_s: float
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._http = http
        self._created_s = created_s
        self._labels = {"engine": ENGINE, "model_name": settings.model_name}
        self._template = PageTemplate(created_s)
        self._http_template, self._http_series = self._make_http_template(), 0
        self._scrapes = 0
        self._add_process(started_s)
        self._add_state()
        self._add_counters()
        self._add_histograms()
        self._add_cache_config()

    def note_first_token(self, ttft_s: float, is_streaming: bool) -> None:
        """Hear of a first token; this page finds all it needs in the engine's counters."""

    def note_finished(self, ended: EndedRequest, is_streaming: bool) -> None:
        """Hear of a finish; likewise."""

    def note_progress(self) -> None:
        """Hear that the engine moved; this page shows its present state."""

    def render(self) -> str:
        """Return the page."""
        self._scrapes += 1
        if self._http_series != len(self._http.first_ended_s):
            self._http_series = len(self._http.first_ended_s)
            self._http_template = self._make_http_template()
        return self._template.render() + self._http_template.render()

    def _gauge(self, name: str, *series: tuple[Labels, Read]) -> None:
        found = [({**self._labels, **labels}, read) for labels, read in series]
        self._template.add_gauge(f"vllm:{name}", TEXTS[name], found)

    def _counter(self, name: str, *series: tuple[Labels, Read]) -> None:
        found = [({**self._labels, **labels}, read) for labels, read in series]
        self._template.add_counter(f"vllm:{name}_total", TEXTS[name], found)

    def _histogram(self, name: str, counts: HistogramCounts) -> None:
        self._template.add_histogram(f"vllm:{name}", TEXTS[name], [(self._labels, counts)])

    def _add_process(self, started_s: float) -> None:
        start, cpu = "process_start_time_seconds", "process_cpu_seconds_total"
        self._template.add_gauge(start, TEXTS[start], [({}, constant(started_s))])
        self._template.add_family(cpu, "counter", TEXTS[cpu], [("", {}, lambda: SCRAPE_CPU_S * self._scrapes)])

    def _add_state(self) -> None:
        engine = self._engine
        for name in ("estimated_flops_per_gpu", "estimated_read_bytes_per_gpu", "estimated_write_bytes_per_gpu"):
            self._counter(name, ({}, _zero))  # as on a server that was not told to estimate them
        self._gauge("num_requests_running", ({}, lambda: engine.running_requests))
        self._gauge("num_requests_waiting", ({}, lambda: engine.waiting_requests))
        self._gauge(
            "num_requests_waiting_by_reason",
            ({"reason": "capacity"}, lambda: engine.waiting_requests),
            ({"reason": "deferred"}, _zero),
        )
        self._gauge(
            "engine_sleep_state",
            ({"sleep_state": "awake"}, constant(1.0)),
            ({"sleep_state": "weights_offloaded"}, _zero),
            ({"sleep_state": "discard_all"}, _zero),
        )
        self._gauge("kv_cache_usage_perc", ({}, lambda: engine.kv_used_ratio))

    def _add_counters(self) -> None:
        counters = self._engine.counters
        self._counter("prefix_cache_queries", ({}, lambda: counters.queried_tokens))
        self._counter("prefix_cache_hits", ({}, lambda: counters.hit_tokens))
        for name in (
            "external_prefix_cache_queries",
            "external_prefix_cache_hits",
            "mm_cache_queries",
            "mm_cache_hits",
        ):
            self._counter(name, ({}, _zero))
        self._counter("num_preemptions", ({}, lambda: counters.preemptions))
        self._counter("prompt_tokens", ({}, lambda: counters.prompt_tokens))
        self._counter(
            "prompt_tokens_by_source",
            ({"source": "local_compute"}, lambda: counters.prompt_tokens - counters.cached_tokens),
            ({"source": "local_cache_hit"}, lambda: counters.cached_tokens),
            ({"source": "external_kv_transfer"}, _zero),
        )
        self._counter("prompt_tokens_cached", ({}, lambda: counters.cached_tokens))
        others = [({"source": source}, _zero) for source in ("host", "p2p", "disk", "external_unspecified")]
        self._counter("prompt_tokens_cached_by_source", ({"source": "device"}, lambda: counters.hit_tokens), *others)
        self._counter("generation_tokens", ({}, lambda: counters.generated_tokens))
        finished = counters.finished_by_reason
        self._counter(
            "request_success",
            ({"finished_reason": "stop"}, lambda: finished["stop"]),
            ({"finished_reason": "length"}, lambda: finished["length"]),
            *(({"finished_reason": reason}, _zero) for reason in ("abort", "error", "repetition")),
        )
        model = {"model_name": self._settings.model_name}  # rejections are counted in the front end, without engine
        self._template.add_counter(
            "vllm:admission_rejections_total",
            TEXTS["admission_rejections"],
            [
                ({**model, "reason": "max_num_queued_reqs"}, lambda: counters.rejected),
                ({**model, "reason": "max_num_queued_tokens"}, _zero),
            ],
        )

    def _add_histograms(self) -> None:
        counters = self._engine.counters
        for name, counts in (
            ("request_prompt_tokens", counters.input_lengths),
            ("request_generation_tokens", counters.output_lengths),
            ("iteration_tokens_total", counters.iteration_tokens),
            ("request_max_num_generation_tokens", counters.output_lengths),
            ("request_params_n", counters.sequences),
            ("request_params_max_tokens", counters.bounds),
            ("time_to_first_token_seconds", counters.ttft),
            ("inter_token_latency_seconds", counters.itl),
            ("request_time_per_output_token_seconds", counters.mean_itl),
            ("e2e_request_latency_seconds", counters.ttlt),
            ("request_queue_time_seconds", counters.queue_time),
            ("request_inference_time_seconds", counters.inference_time),
            ("request_prefill_time_seconds", counters.prefill_time),
            ("request_decode_time_seconds", counters.decode_time),
            ("request_num_preemptions", counters.request_preemptions),
            ("request_prefill_kv_computed_tokens", counters.computed_lengths),
        ):
            self._histogram(name, counts)

    def _add_cache_config(self) -> None:
        settings = self._settings
        blocks = settings.kv_capacity_tokens // settings.block_tokens
        labels = {
            **CACHE_CONFIG,
            "engine": ENGINE,
            "block_size": str(settings.block_tokens),
            "effective_attention_block_size": str(settings.block_tokens),
            "num_gpu_blocks": str(blocks),
            "kv_cache_size_tokens": str(blocks * settings.block_tokens),
            "kv_cache_max_concurrency": str(blocks * settings.block_tokens / settings.context_tokens),
        }
        self._template.add_gauge("vllm:cache_config_info", TEXTS["cache_config_info"], [(labels, constant(1.0))])

    def _make_http_template(self) -> PageTemplate:
        """Return the families of the HTTP layer with the series that were used so far."""
        http, page = self._http, PageTemplate()
        first_s = [(dict(zip(_HTTP_LABELS, key, strict=True)), time_s) for key, time_s in http.first_ended_s.items()]
        ended = [
            ("", labels, partial(http.ended.__getitem__, key))
            for (labels, _), key in zip(first_s, http.first_ended_s, strict=True)
        ]
        name = "http_requests"
        page.add_family(f"{name}_total", "counter", HTTP_TEXTS[name], ended)
        _add_created(page, name, first_s, _HTTP_LABELS)
        for name, sizes in (
            ("http_request_size_bytes", http.request_sizes),
            ("http_response_size_bytes", http.response_sizes),
        ):
            series = [
                (suffix, {"handler": handler}, partial(getattr, sums, field))
                for handler, sums in sizes.items()
                for suffix, field in (("_count", "count"), ("_sum", "total_bytes"))
            ]
            page.add_family(name, "summary", HTTP_TEXTS[name], series)
            _add_created(page, name, first_s, ("handler",))
        name = "http_request_duration_highr_seconds"
        page.add_histogram(name, HTTP_TEXTS[name], [({}, http.fine_durations)])
        page.add_gauge(f"{name}_created", HTTP_TEXTS[name], [({}, constant(self._created_s))])
        name = "http_request_duration_seconds"
        durations = [({"handler": key[0], "method": key[1]}, counts) for key, counts in http.durations.items()]
        page.add_histogram(name, HTTP_TEXTS[name], durations)
        _add_created(page, name, first_s, ("handler", "method"))
        return page


def _add_created(page: PageTemplate, name: str, first_s: Sequence[tuple[Labels, float]], labels: Sequence[str]) -> None:
    """Add when each series of a family was first used, told apart by `labels`."""
    found: dict[tuple[str, ...], float] = {}
    for all_labels, time_s in first_s:
        found.setdefault(tuple(all_labels[label] for label in labels), time_s)
    series = [(dict(zip(labels, key, strict=True)), constant(time_s)) for key, time_s in found.items()]
    page.add_gauge(f"{name}_created", HTTP_TEXTS[name], series)
