"""Series that a policy asks for by name: which of a page's series count, and that nothing else is read otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from adapter.collector import read_page
from adapter.collector.asked_series import AskedByModel, AskedSeries
from adapter.collector.engine_tables import ENGINE_TABLES
from optimizer.domain import Gauge, HistogramReading, ModelKey, PodReading, SignalKind, SignalSpec
from tests.builders.pod_page import read_sample
from tests.builders.readings import POD

TOKENS = 'vllm:generation_tokens_total{engine="0",model_name="m"} 900.0\n'
TWO_RANKS = TOKENS + TOKENS.replace('"0"', '"1"')


def gauge(series: str, **labels: str) -> SignalSpec:
    return SignalSpec("wanted", series, SignalKind.GAUGE, labels)


def rate(series: str, **labels: str) -> SignalSpec:
    return SignalSpec("wanted", series, SignalKind.RATE, labels)


def quantile(series: str, **labels: str) -> SignalSpec:
    return SignalSpec("wanted", series, SignalKind.QUANTILE, labels, quantile_ratio=0.9)


def read(text: str, *specs: SignalSpec, engine: str = "vllm", model_name: str | None = None) -> PodReading:
    asked = AskedSeries(specs, ENGINE_TABLES[engine])
    (reading,) = read_page(text.encode(), engine, POD, 7.0, model_name, asked=asked)
    assert replace(reading, series={}, series_problems={}) == read_page(text.encode(), engine, POD, 7.0, model_name)[0]
    return reading


def get(text: str, spec: SignalSpec) -> float | HistogramReading | None:
    return read(text, spec).series.get("wanted")


# --- gauges -----------------------------------------------------------------------------------------------------------
def test_matching_series_of_a_gauge_are_added_up() -> None:
    page = TOKENS + 'queue_depth{kind="a",tier="x"} 2\nqueue_depth{kind="b",tier="x"} 3\nqueue_depth{kind="a"} 4\n'
    assert get(page, gauge("queue_depth")) == 9.0
    assert get(page, gauge("queue_depth", kind="a")) == 6.0
    assert get(page, gauge("queue_depth", kind="a", tier="x")) == 2.0


def test_a_gauge_of_which_nothing_matches_is_not_there() -> None:
    page = TOKENS + 'queue_depth{kind="a"} 2\n'
    assert get(page, gauge("queue_depth", kind="z")) is None
    assert get(page, gauge("another")) is None


@pytest.mark.parametrize("text", ["NaN", "+Inf", "-1"])
def test_a_gauge_that_is_no_amount_is_not_there(text: str) -> None:
    assert get(f"{TOKENS}queue_depth {text}\n", gauge("queue_depth")) is None


def test_of_ranks_queues_are_added_up_and_the_fullest_kv_cache_counts() -> None:
    page = TWO_RANKS + "".join(
        f'vllm:num_requests_waiting{{engine="{rank}",model_name="m"}} {waiting}\n'
        f'vllm:kv_cache_usage_perc{{engine="{rank}",model_name="m"}} {used}\n'
        for rank, waiting, used in (("0", 3, 0.5), ("1", 4, 0.9))
    )
    assert get(page, gauge("vllm:num_requests_waiting")) == 7.0
    assert get(page, gauge("vllm:kv_cache_usage_perc")) == 0.9
    assert get(page, gauge("vllm:kv_cache_usage_perc", engine="0")) == 0.5


def test_older_names_of_the_same_figure_count_where_the_page_has_only_those() -> None:
    old = TOKENS + 'vllm:gpu_cache_usage_perc{model_name="m"} 0.4\n'
    assert get(old, gauge("vllm:kv_cache_usage_perc")) == 0.4
    both = old + 'vllm:kv_cache_usage_perc{model_name="m"} 0.5\n'
    assert get(both, gauge("vllm:kv_cache_usage_perc")) == 0.5
    assert get(both, gauge("vllm:gpu_cache_usage_perc")) == 0.4


# --- counters ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("on_page", ["hits_total", "hits"])
@pytest.mark.parametrize("asked", ["hits_total", "hits"])
def test_a_counter_is_found_with_and_without_total(on_page: str, asked: str) -> None:
    assert get(f"{TOKENS}{on_page} 5\n", rate(asked)) == 5.0


def test_a_counter_of_the_table_is_found_too() -> None:
    ended = 'vllm:request_success_total{engine="0",finished_reason="%s",model_name="m"} %d\n'
    page = TOKENS + ended % ("stop", 7) + ended % ("length", 2)
    assert get(page, rate("vllm:request_success_total")) == 9.0
    assert get(page, rate("vllm:request_success", finished_reason="stop")) == 7.0
    assert get(page, rate("vllm:generation_tokens_total")) == 900.0
    assert get(page.replace("vllm:", "vllm_"), rate("vllm:request_success_total")) == 9.0


def test_a_counter_none_of_whose_series_matches_yet_stands_at_zero() -> None:
    page = TOKENS + 'http_requests_total{handler="/v1/chat/completions",status="2xx"} 8\n'
    assert get(page, rate("http_requests_total", status="5xx")) == 0.0
    assert get(page, rate("http_requests_total", status="2xx")) == 8.0
    assert get(TOKENS, rate("http_requests_total")) is None


def test_a_counter_that_lacks_a_rank_is_not_there() -> None:
    page = TWO_RANKS + 'vllm:prompt_tokens_total{engine="1",model_name="m"} 5\n'
    assert get(page, rate("vllm:prompt_tokens_total")) is None


# --- histograms -------------------------------------------------------------------------------------------------------
def make_histogram_lines(name: str, labels: str, fast: int, count: int) -> str:
    buckets = f'{name}_bucket{{{labels},le="0.1"}} {fast}\n{name}_bucket{{{labels},le="+Inf"}} {count}\n'
    return f"{buckets}{name}_count{{{labels}}} {count}\n{name}_sum{{{labels}}} 1.5\n"


def test_histograms_that_match_are_added_up() -> None:
    lines = [make_histogram_lines("wait_seconds", f'tier="{tier}"', fast, 10) for tier, fast in (("x", 3), ("y", 4))]
    page = TOKENS + "".join(lines)
    assert get(page, quantile("wait_seconds")) == HistogramReading((0.1,), (7.0,), 20.0, 3.0)
    assert get(page, quantile("wait_seconds", tier="y")) == HistogramReading((0.1,), (4.0,), 10.0, 1.5)
    assert get(page, quantile("wait_seconds", tier="z")) is None


def test_a_histogram_of_the_table_and_its_older_name_are_found() -> None:
    name = "vllm:time_per_output_token_seconds"
    page = TOKENS + make_histogram_lines(name, 'engine="0",model_name="m"', 3, 10)
    expected = HistogramReading((0.1,), (3.0,), 10.0, 1.5)
    assert get(page, quantile("vllm:inter_token_latency_seconds")) == get(page, quantile(name)) == expected


# --- other engines ----------------------------------------------------------------------------------------------------
SGLANG = (
    """
sglang:num_running_reqs{model_name="m"} 3
sglang:num_queue_reqs{model_name="m"} 4
sglang:num_grammar_queue_reqs{model_name="m"} 1
sglang:token_usage{model_name="m",dp_rank="0"} 0.3
sglang:token_usage{model_name="m",dp_rank="1"} 0.6
sglang:prompt_tokens_total{model_name="m"} 70
sglang:num_requests_total{model_name="m"} 8
""".lstrip()
    + make_histogram_lines("sglang:time_to_first_token_seconds", 'model_name="m"', 3, 10)
)


@pytest.mark.parametrize(
    "spec, value",
    [
        (gauge("vllm:num_requests_running"), 3.0),
        (gauge("vllm:num_requests_waiting"), 5.0),
        (gauge("vllm:kv_cache_usage_perc"), 0.6),
        (gauge("vllm:kv_cache_usage_perc", dp_rank="0"), 0.3),
        (gauge("sglang:num_queue_reqs"), 4.0),
        (rate("vllm:prompt_tokens_total"), 70.0),
        (rate("vllm:request_success_total"), 8.0),
        (quantile("vllm:time_to_first_token_seconds"), HistogramReading((0.1,), (3.0,), 10.0, 1.5)),
        (gauge("vllm:num_requests_swapped"), None),  # a part of what waits, in old versions only
        (rate("vllm:prompt_tokens_by_source_total"), None),  # of which what was computed is a part
        (rate("vllm:request_success_total", finished_reason="stop"), None),  # a label that no sample here has
        (rate("vllm:request_success_total", model_name="m"), 8.0),
        (gauge("vllm:num_requests_waiting", priority="0"), None),
        (quantile("vllm:time_to_first_token_seconds", priority="0"), None),
        (gauge("vllm:lora_requests_info"), None),
        (quantile("vllm:request_params_n"), None),
    ],
)
def test_what_another_engine_calls_otherwise_is_found_all_the_same(
    spec: SignalSpec, value: float | HistogramReading | None
) -> None:
    assert read(SGLANG, spec, engine="sglang").series.get("wanted") == value


@pytest.mark.parametrize(
    "spec, value",
    [
        (gauge("sglang:num_running_reqs"), 3.0),
        (gauge("sglang:num_queue_reqs"), None),  # one queue of several
        (gauge("sglang:num_grammar_queue_reqs"), None),
        (gauge("sglang:num_decode_transfer_queue_reqs"), None),
        (gauge("sglang:token_usage"), 0.4),
        (rate("sglang:realtime_tokens_total"), None),  # of every mode
        (rate("sglang:realtime_tokens_total", mode="decode"), None),
        (rate("sglang:generation_tokens_total"), 900.0),
        (rate("sglang:num_requests_total"), 9.0),
    ],
)
def test_a_part_of_a_figure_is_never_answered_with_the_whole_of_another_engine(
    spec: SignalSpec, value: float | None
) -> None:
    page = TOKENS + "".join(
        f"vllm:{line}\n"
        for line in (
            'num_requests_running{engine="0",model_name="m"} 3',
            'num_requests_waiting{engine="0",model_name="m"} 5',
            'kv_cache_usage_perc{engine="0",model_name="m"} 0.4',
            'prompt_tokens_by_source_total{engine="0",model_name="m",source="local_compute"} 60',
            'request_success_total{engine="0",finished_reason="stop",model_name="m"} 9',
        )
    )
    reading = read(page, spec)
    assert (reading.series.get("wanted"), dict(reading.series_problems)) == (value, {})


# --- what else is on the page -----------------------------------------------------------------------------------------
def test_labels_of_asked_series_are_taken_for_no_llm_and_no_rank() -> None:
    page = TOKENS + 'adapters_loaded{model_name="lora-1",engine="warm"} 3\n'
    reading = read(page, gauge("adapters_loaded"))
    assert (reading.model_name, reading.ranks, reading.series) == ("m", 1, {"wanted": 3.0})


def test_with_several_llms_on_a_page_a_counter_that_names_none_is_nobodys() -> None:
    page = TOKENS + TOKENS.replace('"m"', '"n"') + "shared_total 5\nshared_depth 6\n"
    readings = read_page(
        page.encode(),
        "vllm",
        POD,
        7.0,
        asked=AskedSeries((replace(rate("shared_total"), name="rate"), gauge("shared_depth")), ENGINE_TABLES["vllm"]),
    )
    assert [dict(reading.series) for reading in readings] == [{"wanted": 6.0}, {"wanted": 6.0}]


@pytest.mark.parametrize(
    "line, problem",
    [
        ('odd{9="x"} 3', "labels cannot be read"),
        ("odd{a} 3", "labels cannot be read"),
        ('odd{a="x" 3', "sample cannot be read"),
        ("odd{} x", "sample cannot be read"),
        ("odd {}", "sample cannot be read"),
        ("odd 1.2.3", "value cannot be read"),
        ('odd{a="\udcff"} 1', "labels are not UTF-8"),
        ("odd NaN", "its values are not finite"),
        ("odd -1", "its values are not finite, below 0"),
        ("odd +Inf", "its values are not finite"),
        ("odd 1\nodd 2", "it stands twice"),
        ('odd{a="1",b="2"} 1\nodd{b="2",a="1"} 1', "it stands twice with the labels a=1, b=2"),
        ('odd{a="' + 9000 * "x" + '"} 1', "labels must be <= 8192 bytes"),
        ("odd 1\nodd{} x", "sample cannot be read"),
    ],
)
@pytest.mark.parametrize("ask", [gauge, rate])
def test_an_odd_line_of_an_asked_series_costs_that_series_and_says_so(
    ask: Callable[[str], SignalSpec], line: str, problem: str
) -> None:
    page = f"{TOKENS}{line}\nqueue_depth 2\n".encode("utf-8", "surrogateescape")
    asked = AskedSeries((ask("odd"), replace(gauge("queue_depth"), name="other")), ENGINE_TABLES["vllm"])
    (reading,) = read_page(page, "vllm", POD, 7.0, asked=asked)
    assert reading.series == {"other": 2.0}
    assert problem in reading.series_problems["wanted"]
    (plain,) = read_page(page, "vllm", POD, 7.0)
    assert replace(reading, series={}, series_problems={}) == plain


@pytest.mark.parametrize("line", ["odd_count x", 'odd_bucket{le="0.1",le} 1', 'odd_bucket{le="x"} 1', "odd_sum NaN"])
def test_an_odd_line_of_an_asked_histogram_costs_that_histogram(line: str) -> None:
    whole = make_histogram_lines("odd", 'tier="x"', 3, 10)
    reading = read(f"{TOKENS}{whole}{line}\nqueue_depth 2\n", quantile("odd"), replace(gauge("queue_depth"), name="o"))
    assert reading.series == {"o": 2.0}
    assert reading.series_problems.keys() == {"wanted"}


def test_the_same_line_twice_says_the_same_once() -> None:
    assert read(TOKENS + "depth 2\ndepth 2\n", gauge("depth")).series == {"wanted": 2.0}


def test_a_label_that_no_sample_has_is_no_count_of_zero() -> None:
    page = TOKENS + 'vllm:request_success_total{engine="0",finished_reason="stop",model_name="m"} 9\n'
    reading = read(page, rate("vllm:request_success", finish_reason="stop"))
    assert reading.series == {}
    assert "labels finish_reason=stop" in reading.series_problems["wanted"]
    assert read(page, rate("vllm:request_success", finished_reason="abort")).series == {"wanted": 0.0}


def test_what_is_asked_never_feeds_a_figure_of_the_table() -> None:
    page = TOKENS + 'vllm:num_requests_waiting{engine="0",model_name="m"} 5\n'
    page += 'vllm:num_requests_waiting_total{engine="1",model_name="m"} 70\n'
    assert read(page, rate("vllm:num_requests_waiting")).gauges[Gauge.WAITING_REQUESTS] == 5.0


@pytest.mark.parametrize("engine, sample", [("vllm", "vllm-0.32.0-busy.prom"), ("sglang", None)])
def test_a_table_is_read_alike_whoever_asks_for_its_series(engine: str, sample: str | None) -> None:
    """Every series that a table knows, asked for by name in every way, changes nothing of the rest."""
    table = ENGINE_TABLES[engine]
    page = TOKENS.replace("vllm", engine) if sample is None else read_sample(sample).decode()
    names = [name for rule in table.gauges.values() for part in rule.parts for name in part]
    specs = [SignalSpec(f"{kind} {name}", name, kind) for name in names for kind in (SignalKind.GAUGE, SignalKind.RATE)]
    specs += [SignalSpec(name, name, SignalKind.QUANTILE) for them in table.histograms.values() for name in them]
    reading = read(page, *specs, engine=engine)
    if sample is not None:
        assert reading.series["gauge vllm:num_requests_running"] == reading.gauges[Gauge.RUNNING_REQUESTS]
        assert reading.series["vllm:time_to_first_token_seconds"] in reading.histograms.values()


# --- readiness --------------------------------------------------------------------------------------------------------
def test_what_is_asked_is_made_ready_once_and_again_only_for_whom_it_changed() -> None:
    one, other = ModelKey("default", "one"), ModelKey("default", "other")
    asked = AskedByModel({one: (gauge("a"),), other: (gauge("b"),)})
    first, second = asked.find(one, "vllm"), asked.find(other, "vllm")
    assert asked.find(one, "vllm") is first
    assert asked.find(one, "sglang") is not first
    asked.change({one: (gauge("a"),), other: (gauge("c"),)})
    assert asked.find(one, "vllm") is first
    assert asked.find(other, "vllm") is not second
    asked.change({one: ()})
    assert asked.find(one, "vllm") is asked.find(other, "vllm") is asked.find(one, "unknown") is None
