"""Real and composed pages of engines are read exactly: against golden readings, a reference parser, and identities."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from adapter.collector import read_page
from adapter.collector.engine_tables import ENGINE_TABLES
from adapter.collector.exposition import PageReader, parse_labels
from adapter.config.schema.variants import EngineName
from optimizer.demand import compute_window, empty_reading
from optimizer.domain import Counter, DemandSource, Gauge, Histogram, PodReading
from tests.contract.golden_readings import GOLDEN_DIR, PAGES, POD, to_document

CAPTURES = [name for name in PAGES if name.startswith("vllm-0.32.0")]
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def bodies(data_dir: Path) -> Mapping[str, bytes]:
    return {name: (data_dir / "samples" / name).read_bytes() for name in PAGES}


def read(bodies: Mapping[str, bytes], name: str, time_s: float = 0.0) -> PodReading:
    (reading,) = read_page(bodies[name], PAGES[name], POD, time_s)
    return reading


# --- what is read is what stands there --------------------------------------------------------------------------------
def test_every_engine_has_a_page_and_every_page_an_engine(data_dir: Path) -> None:
    assert set(PAGES.values()) == set(ENGINE_TABLES)
    assert {path.name for path in (data_dir / "samples").iterdir()} - {"README.md"} == set(PAGES)


def test_every_engine_that_can_be_configured_can_be_read() -> None:
    assert {engine.value for engine in EngineName} == set(ENGINE_TABLES)


@pytest.mark.parametrize("name", PAGES)
def test_page_is_read_as_its_golden_file_says(bodies: Mapping[str, bytes], name: str) -> None:
    golden = json.loads((GOLDEN_DIR / f"{name}.json").read_text())
    assert [to_document(reading) for reading in read_page(bodies[name], PAGES[name], POD, 0.0)] == golden


@pytest.mark.parametrize("name", PAGES)
def test_every_wanted_sample_equals_that_of_the_reference_parser(bodies: Mapping[str, bytes], name: str) -> None:
    wanted = ENGINE_TABLES[PAGES[name]].list_names()
    forms = {
        form: known for wanted_name, known in wanted.items() for form in (wanted_name, wanted_name.replace(":", "_"))
    }
    expected: Series = {
        (forms[sample.name], frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(bodies[name].decode())
        for sample in family.samples
        if sample.name in forms
    }
    page = PageReader(wanted).read(bodies[name])
    found: Series = {
        (known, frozenset(parse_labels(raw).items())): value
        for known, series in page.samples.items()
        for raw, value in series.items()
    }
    assert found == expected
    assert len(found) > 60
    assert not page.is_cut


# --- what the captures are known to show ------------------------------------------------------------------------------
def test_figures_of_the_busy_server(bodies: Mapping[str, bytes]) -> None:
    reading = read(bodies, "vllm-0.32.0-busy.prom")
    assert reading.model_name == "tiny-llama"
    assert reading.counters[Counter.FINISHED] == reading.counters[Counter.HTTP_REQUESTS] == 191
    assert (reading.counters[Counter.PROMPT_TOKENS], reading.counters[Counter.GENERATED_TOKENS]) == (45_133, 12_606)
    assert (reading.gauges[Gauge.RUNNING_REQUESTS], reading.gauges[Gauge.WAITING_REQUESTS]) == (10, 0)
    assert reading.gauges[Gauge.KV_CACHE_RATIO] == pytest.approx(25 / 2047)
    assert reading.gauges[Gauge.KV_CAPACITY_TOKENS] == 2048 * 128


def test_busy_and_idle_differ_by_completions_and_no_arrival(bodies: Mapping[str, bytes]) -> None:
    window = compute_window(read(bodies, "vllm-0.32.0-busy.prom"), read(bodies, "vllm-0.32.0-idle.prom", 10.0))
    assert (window.arrivals, window.completions, window.source) == (0.0, 10.0, DemandSource.HTTP_REQUESTS)


def test_all_that_came_to_the_busy_server_since_its_start_is_counted(bodies: Mapping[str, bytes]) -> None:
    begin = empty_reading(POD, "tiny-llama", "vllm", 0.0)
    assert compute_window(begin, read(bodies, "vllm-0.32.0-busy.prom", 30.0)).arrivals == 201.0
    assert compute_window(begin, read(bodies, "vllm-0.32.0-idle.prom", 30.0)).arrivals == 201.0


def test_overload_with_rejections_and_clients_that_left_is_counted_whole(bodies: Mapping[str, bytes]) -> None:
    """14 answered or gone, 8 rejected, 8 in flight; one request asked for three, and rejected ones may have."""
    reading = read(bodies, "vllm-0.32.0-overload.prom", 90.0)
    assert compute_window(empty_reading(POD, "tiny-llama", "vllm", 0.0), reading).arrivals == 14 + 8 * 16 / 14 + 8 + 2
    assert reading.counters[Counter.REJECTED] == 8


def test_between_two_moments_of_the_overload_server_what_came_is_counted(bodies: Mapping[str, bytes]) -> None:
    before, after = read(bodies, "vllm-0.32.0-openmetrics.txt"), read(bodies, "vllm-0.32.0-overload.prom", 90.0)
    assert compute_window(before, after).arrivals == 8.0


def test_two_ranks_under_24_requests_are_counted_from_a_page_without_gauges(bodies: Mapping[str, bytes]) -> None:
    start, busy = read(bodies, "vllm-0.32.0-dp2-start.prom"), read(bodies, "vllm-0.32.0-dp2-busy.prom", 9.0)
    assert Gauge.RUNNING_REQUESTS not in start.gauges
    assert start.ranks == busy.ranks == 2
    window = compute_window(start, busy)
    assert (window.arrivals, window.source, window.waiting_requests) == (24.0, DemandSource.FIRST_TOKENS, 16.0)


# --- identities -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", CAPTURES)
def test_tokens_and_observations_of_a_capture_agree(bodies: Mapping[str, bytes], name: str) -> None:
    reading = read(bodies, name)
    counters, histograms = reading.counters, reading.histograms
    assert histograms[Histogram.ITL].count == counters[Counter.GENERATED_TOKENS] - histograms[Histogram.TTFT].count
    ended = (Histogram.TTLT, Histogram.QUEUE_TIME, Histogram.INPUT_TOKENS, Histogram.OUTPUT_TOKENS)
    assert {histograms[histogram].count for histogram in ended} == {counters[Counter.FINISHED]}
    assert counters[Counter.COMPUTED_TOKENS] + counters[Counter.CACHED_TOKENS] == counters[Counter.PROMPT_TOKENS]


@pytest.mark.parametrize("name", ["vllm-0.32.0-busy.prom", "vllm-0.32.0-idle.prom", "vllm-0.32.0-dp2-busy.prom"])
def test_first_tokens_are_those_of_the_finished_and_the_running_while_nobody_leaves(
    bodies: Mapping[str, bytes], name: str
) -> None:
    reading = read(bodies, name)
    running = reading.gauges[Gauge.RUNNING_REQUESTS]
    assert reading.histograms[Histogram.TTFT].count == reading.counters[Counter.FINISHED] + running


@pytest.mark.parametrize("name", CAPTURES)
def test_tokens_of_all_steps_are_prompts_computed_and_tokens_generated(bodies: Mapping[str, bytes], name: str) -> None:
    steps = sum(
        sample.value
        for family in text_string_to_metric_families(bodies[name].decode())
        for sample in family.samples
        if sample.name.replace("_", ":", 1) == "vllm:iteration_tokens_total_sum"
        or sample.name == "vllm:iteration_tokens_total_sum"
    )
    counters = read(bodies, name).counters
    assert steps == counters[Counter.COMPUTED_TOKENS] + counters[Counter.GENERATED_TOKENS]


@pytest.mark.parametrize("name", PAGES)
def test_histograms_rise_to_their_count(bodies: Mapping[str, bytes], name: str) -> None:
    for histogram in read(bodies, name).histograms.values():
        assert list(histogram.edges) == sorted(set(histogram.edges))
        assert list(histogram.cumulative) == sorted(histogram.cumulative)
        assert max(histogram.cumulative, default=0.0) <= histogram.count
        assert math.isfinite(histogram.total)
