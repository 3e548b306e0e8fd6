"""The pages against real ones, and against what the collector makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from adapter.collector.read_page import read_page
from adapter.demo.engine_settings import EngineSettings
from adapter.demo.pages import HttpCounts, MetricsPage, Visit, get_edges, make_page
from adapter.demo.pages.exposition import PageTemplate, constant
from optimizer.domain import Counter, Gauge, Histogram, IterationLaw, PodKey, PodReading
from optimizer.simulation import EngineLimits, EngineRequest, EventKind, HistogramCounts, TokenEngine, make_step_time

LAW = IterationLaw(fixed_s=0.01, per_request_s=2e-4, per_context_token_s=3e-7, per_prompt_token_s=5e-5)
STARTED_S, READY_S = 1000.0, 1020.0
# Of the machine the real server ran on, and of its interpreter; no reader of pages needs them.
LEFT_OUT = {
    "python_gc_objects_collected",
    "python_gc_objects_uncollectable",
    "python_gc_collections",
    "python_info",
    "process_virtual_memory_bytes",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_max_fds",
}


class Replica:
    """An engine with its page and the counts of an HTTP layer, without a server."""

    def __init__(self, settings: EngineSettings) -> None:
        limits = EngineLimits(settings.kv_capacity_tokens, settings.block_tokens, settings.max_running_requests)
        self.engine = TokenEngine(make_step_time(settings.performance), limits, STARTED_S, get_edges(settings))
        self.http = HttpCounts()
        self.page: MetricsPage = make_page(settings, self.engine, self.http, STARTED_S, READY_S)

    def play(self, requests: int, until_s: float) -> None:
        """Send `requests` at random moments, and stop at `until_s` with the rest in flight."""
        generator = np.random.default_rng(4)
        arrivals_s = READY_S + np.cumsum(generator.exponential(0.05, requests))
        visits: dict[str, Visit] = {}
        for number, arrival_s in enumerate(arrivals_s.tolist()):
            self._advance(arrival_s, visits)
            name = str(number)
            visits[name] = Visit("/v1/completions", "POST", arrival_s, 100)
            self.http.arrive(visits[name])
            i, o = (int(length) for length in generator.integers(1, (1500, 400)))
            assert self.engine.submit(EngineRequest(name, arrival_s, i, o, cached_tokens=i // 4))
            self.http.answer(visits[name], 200, 0)
        self._advance(until_s, visits)

    def _advance(self, time_s: float, visits: dict[str, Visit]) -> None:
        while (event_s := self.engine.next_event_s) is not None and event_s <= time_s:
            for event in self.engine.advance(event_s):
                visit = visits[event.request_id]
                if event.kind is EventKind.FIRST_TOKEN:
                    self.page.note_first_token(event.time_s - visit.arrival_s, is_streaming=True)
                elif event.ended is not None:
                    self.page.note_finished(event.ended, is_streaming=True)
                    self.http.end(visit, event.time_s)
            self.page.note_progress()


def make_settings(engine: str) -> EngineSettings:
    """Return settings like those of the server behind the real pages."""
    return EngineSettings(
        "tiny-llama",
        LAW,
        262_144,
        engine=engine,  # type: ignore[arg-type]
        max_model_tokens=2048,
        block_tokens=128,
    )


def play_page(engine: str) -> tuple[Replica, str]:
    replica = Replica(make_settings(engine))
    replica.play(200, READY_S + 12.0)
    return replica, replica.page.render()


def parse(page: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(page)}


def list_series(family: Metric) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    return {(sample.name, frozenset(sample.labels.items())) for sample in family.samples}


def read(page: str, engine: str) -> PodReading:
    [reading] = read_page(page.encode(), engine, PodKey("default", "pod"), READY_S + 10.5)
    return reading


# --- vLLM -------------------------------------------------------------------------------------------------------------


def test_the_vllm_page_has_the_families_series_and_texts_of_the_real_one(data_dir: Path) -> None:
    real = parse((data_dir / "samples" / "vllm-0.32.0-busy.prom").read_text())
    ours = parse(play_page("vllm")[1])
    assert real.keys() - ours.keys() == LEFT_OUT
    assert list(ours) == [name for name in real if name not in LEFT_OUT]
    for name, family in ours.items():
        assert (family.type, family.documentation) == (real[name].type, real[name].documentation), name
        assert list_series(family) == list_series(real[name]), name


def test_the_vllm_page_before_any_request_shows_zeros_and_no_http_series(data_dir: Path) -> None:
    real = parse((data_dir / "samples" / "vllm-0.32.0-busy.prom").read_text())
    ours = parse(Replica(make_settings("vllm")).page.render())
    assert list(ours) == [name for name in real if name not in LEFT_OUT]
    assert list_series(ours["http_requests"]) == set()
    assert list_series(ours["vllm:num_requests_running"]) == list_series(real["vllm:num_requests_running"])
    assert {sample.value for sample in ours["vllm:request_success"].samples} == {0.0}


def test_vllm_histograms_are_cumulative_and_end_in_their_count() -> None:
    for family in parse(play_page("vllm")[1]).values():
        if family.type == "histogram":
            buckets = [sample.value for sample in family.samples if sample.name.endswith("_bucket")]
            [count] = {sample.value for sample in family.samples if sample.name.endswith("_count")}
            assert buckets == sorted(buckets)
            assert buckets[-1] == count


def test_the_collector_reads_every_figure_of_the_vllm_page() -> None:
    replica, page = play_page("vllm")
    reading, counters = read(page, "vllm"), replica.engine.counters
    assert replica.engine.running_requests > 0
    assert reading.start_s == STARTED_S
    assert set(Counter) - reading.counters.keys() == {Counter.HTTP_ARRIVALS}
    assert reading.gauges.keys() == set(Gauge)
    assert reading.histograms.keys() == set(Histogram)
    assert reading.counters[Counter.HTTP_REQUESTS] == reading.counters[Counter.FINISHED] == counters.finished
    assert reading.counters[Counter.PROMPT_TOKENS] == counters.prompt_tokens
    assert reading.counters[Counter.CACHED_TOKENS] == counters.cached_tokens > 0
    assert reading.counters[Counter.GENERATED_TOKENS] == counters.generated_tokens
    assert reading.counters[Counter.ITERATIONS] == counters.iteration_tokens.count
    assert reading.gauges[Gauge.RUNNING_REQUESTS] == replica.engine.running_requests
    assert reading.gauges[Gauge.KV_CACHE_RATIO] == pytest.approx(replica.engine.kv_used_ratio)
    assert reading.gauges[Gauge.KV_CAPACITY_TOKENS] == 262_144
    assert reading.histograms[Histogram.TTFT] == counters.ttft.to_reading()
    assert reading.histograms[Histogram.ITL] == counters.itl.to_reading()
    assert reading.histograms[Histogram.OUTPUT_TOKENS] == counters.output_lengths.to_reading()


# --- SGLang -----------------------------------------------------------------------------------------------------------


def test_the_sglang_page_agrees_with_the_composed_one_where_the_names_did_not_change(data_dir: Path) -> None:
    """That one is of 2025, with two ranks: ours has none, says whether requests stream, and has some other buckets."""
    composed = parse((data_dir / "samples" / "composed-sglang.prom").read_text())
    ours = parse(play_page("sglang")[1])
    common = ours.keys() & composed.keys()
    assert len(common) >= 25
    for name in common:
        assert ours[name].type == composed[name].type, name
        labels, others = (
            {label for sample in family.samples for label in sample.labels} for family in (ours[name], composed[name])
        )
        assert labels - {"is_streaming"} == others - {"dp_rank"}, name
        if name.endswith(("latency_seconds", "token_seconds")):
            edges, other_edges = (
                {sample.labels["le"] for sample in family.samples if "le" in sample.labels}
                for family in (ours[name], composed[name])
            )
            assert edges == other_edges, name


def test_the_collector_reads_every_figure_of_the_sglang_page() -> None:
    replica, page = play_page("sglang")
    reading, counters = read(page, "sglang"), replica.engine.counters
    missing = {Counter.HTTP_REQUESTS, Counter.REJECTED, Counter.PREEMPTIONS}  # not counted there, or not yet
    assert set(Counter) - reading.counters.keys() == missing
    assert reading.gauges.keys() == set(Gauge) - {Gauge.AWAKE}
    assert reading.histograms.keys() == set(Histogram) - {Histogram.SEQUENCES}
    assert reading.counters[Counter.HTTP_ARRIVALS] == 200
    assert reading.counters[Counter.FINISHED] == counters.finished
    assert reading.counters[Counter.PROMPT_TOKENS] == counters.input_lengths.total
    assert reading.histograms[Histogram.TTFT] == counters.ttft.to_reading()
    assert reading.histograms[Histogram.TTLT] == counters.ttlt.to_reading()


def test_sglang_series_appear_at_first_use() -> None:
    replica = Replica(make_settings("sglang"))
    page = replica.page.render()
    assert "sglang:http_requests_total" not in page
    assert "sglang:num_requests_total" not in page
    replica.play(1, READY_S + 60.0)
    page = replica.page.render()
    assert 'sglang:http_requests_total{endpoint="/v1/completions",method="POST"} 1.0' in page
    assert 'sglang:num_requests_total{is_streaming="true",model_name="tiny-llama"} 1.0' in page


def test_sglang_gauges_are_late_and_freeze_when_idle() -> None:
    replica = Replica(make_settings("sglang"))
    replica.play(1, READY_S + 60.0)
    assert replica.engine.running_requests == 0
    reading = read(replica.page.render(), "sglang")
    assert reading.gauges[Gauge.RUNNING_REQUESTS] == 1.0


# --- The text ---------------------------------------------------------------------------------------------------------


def test_labels_and_texts_with_odd_characters_come_through() -> None:
    page = PageTemplate(created_s=12.5)
    value = 'a "quoted" 100% \\ path\nnext'
    page.add_counter("odd_total", "Share in %.", [({"b": value, "a": ""}, constant(3))])
    families = parse(page.render())
    [sample] = families["odd"].samples
    assert (sample.labels, sample.value) == ({"b": value, "a": ""}, 3.0)
    assert families["odd"].documentation == "Share in %."
    assert families["odd_created"].samples[0].value == 12.5


def test_edges_are_written_as_exporters_write_them() -> None:
    page = PageTemplate()
    page.add_histogram("h", "H.", [({}, HistogramCounts((0.001, 5.0, 100000.0, 1100000.0, 1234567.0)))])
    [family] = text_string_to_metric_families(page.render())
    edges = [sample.labels["le"] for sample in family.samples if "le" in sample.labels]
    assert edges == ["0.001", "5.0", "100000.0", "1.1e+06", "1234567.0", "+Inf"]


def test_a_page_shows_the_value_of_its_moment() -> None:
    page, values = PageTemplate(), [1.0]
    page.add_gauge("g", "G.", [({}, lambda: values[0])])
    first = page.render()
    values[0] = float("inf")
    assert (first, page.render()) == (
        "# HELP g G.\n# TYPE g gauge\ng 1.0\n",
        "# HELP g G.\n# TYPE g gauge\ng inf\n",
    )
