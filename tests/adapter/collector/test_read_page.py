"""What engines do to those who read them, trap by trap, on pages of a few lines."""

from __future__ import annotations

import pytest

from adapter.collector import read_page
from adapter.errors import BadDocument
from optimizer.domain import Counter, Gauge, Histogram, HistogramReading, PodReading
from tests.builders.readings import POD

TOKENS = 'vllm:generation_tokens_total{engine="0",model_name="m"} 900.0\n'


def read(text: str, engine: str = "vllm", model_name: str | None = None) -> PodReading:
    (reading,) = read_page(text.encode(), engine, POD, 7.0, model_name)
    assert (reading.pod, reading.engine, reading.time_s) == (POD, engine, 7.0)
    return reading


def make_histogram_lines(name: str, labels: str, counts: dict[str, int], total: float) -> str:
    lines = [f'{name}_bucket{{{labels},le="{edge}"}} {count}.0\n' for edge, count in counts.items()]
    return "".join(lines) + f"{name}_count{{{labels}}} {max(counts.values())}.0\n{name}_sum{{{labels}}} {total}\n"


# --- presence and aliases ---------------------------------------------------------------------------------------------
def test_what_the_page_does_not_show_is_not_in_the_reading() -> None:
    reading = read(TOKENS)
    assert reading.counters == {Counter.GENERATED_TOKENS: 900.0}
    assert not reading.gauges
    assert not reading.histograms
    assert reading.start_s is None


def test_of_two_aliases_one_is_taken_never_the_sum() -> None:
    text = TOKENS + 'vllm:kv_cache_usage_perc{model_name="m"} 0.5\nvllm:gpu_cache_usage_perc{model_name="m"} 0.4\n'
    new = make_histogram_lines("vllm:inter_token_latency_seconds", 'model_name="m"', {"0.1": 3, "+Inf": 4}, 1.0)
    old = make_histogram_lines("vllm:time_per_output_token_seconds", 'model_name="m"', {"0.1": 2, "+Inf": 9}, 5.0)
    for page in (text + new + old, text + old + new):
        reading = read(page)
        assert reading.gauges[Gauge.KV_CACHE_RATIO] == 0.5
        assert reading.histograms[Histogram.ITL] == HistogramReading((0.1,), (3.0,), 4.0, 1.0)


@pytest.mark.parametrize(
    "name, counter",
    [
        ("vllm:prompt_tokens_cached_total", Counter.CACHED_TOKENS),
        ("vllm:prefix_cache_hits_total", Counter.CACHED_TOKENS),
        ("vllm:gpu_prefix_cache_hits_total", Counter.CACHED_TOKENS),
        ("vllm:gpu_prefix_cache_hits", Counter.CACHED_TOKENS),
        ("vllm_num_preemptions_total", Counter.PREEMPTIONS),
        ("vllm:e2e_request_latency_seconds_count", Counter.FINISHED),
    ],
)
def test_older_and_other_names_are_found(name: str, counter: Counter) -> None:
    assert read(f'{TOKENS}{name}{{model_name="m"}} 12.0\n').counters[counter] == 12.0


def test_finished_sequences_of_all_reasons_count() -> None:
    children = (f'vllm:request_success_total{{finished_reason="{r}",model_name="m"}} 5.0\n' for r in ("stop", "abort"))
    assert read(TOKENS + "".join(children)).counters[Counter.FINISHED] == 10.0


def test_only_computed_prompt_tokens_are_computed() -> None:
    sources = {"local_compute": 70, "local_cache_hit": 20, "external_kv_transfer": 10}
    text = "".join(
        f'vllm:prompt_tokens_by_source_total{{model_name="m",source="{source}"}} {count}\n'
        for source, count in sources.items()
    )
    assert read(TOKENS + text).counters[Counter.COMPUTED_TOKENS] == 70.0


def test_start_of_the_process_is_told_by_the_process_or_its_first_series() -> None:
    created = 'vllm:generation_tokens_created{model_name="m"} 1.7e9\n'
    assert read(TOKENS + created).start_s == 1.7e9
    assert read(TOKENS + created + "process_start_time_seconds 1.6e9\n").start_s == 1.6e9


# --- HTTP -------------------------------------------------------------------------------------------------------------
def make_http(children: dict[tuple[str, str], int]) -> str:
    return "".join(
        f'http_requests_total{{handler="{handler}",method="POST",status="{status}"}} {count}\n'
        for (handler, status), count in children.items()
    )


def test_only_offered_inference_requests_count() -> None:
    reading = read(
        TOKENS
        + make_http(
            {
                ("/v1/completions", "2xx"): 1,
                ("/v1/chat/completions", "2xx"): 10,
                ("/generate", "2xx"): 100,
                ("/v1/completions", "5xx"): 1000,
                ("/v1/completions", "4xx"): 10_000,
                ("/v1/models", "2xx"): 10_000,
                ("/health", "2xx"): 10_000,
                ("/tokenize", "2xx"): 10_000,
                ("none", "4xx"): 10_000,
            }
        )
    )
    assert reading.counters[Counter.HTTP_REQUESTS] == 1111.0
    assert reading.counters[Counter.HTTP_OK] == 111.0


def test_status_may_be_written_in_full() -> None:
    reading = read(TOKENS + make_http({("/v1/completions", "200"): 3, ("/v1/completions", "503"): 4}))
    assert (reading.counters[Counter.HTTP_REQUESTS], reading.counters[Counter.HTTP_OK]) == (7.0, 3.0)


def test_children_that_did_not_appear_yet_stand_at_zero_where_the_family_does_not() -> None:
    reading = read(TOKENS + make_http({("/v1/completions", "5xx"): 4}))
    assert (reading.counters[Counter.HTTP_REQUESTS], reading.counters[Counter.HTTP_OK]) == (4.0, 0.0)
    assert Counter.HTTP_REQUESTS not in read(TOKENS).counters


# --- several ranks, several LLMs --------------------------------------------------------------------------------------
def make_ranks(name: str, values: dict[str, float]) -> str:
    return "".join(f'{name}{{engine="{rank}",model_name="m"}} {value}\n' for rank, value in values.items())


def test_ranks_are_added_but_the_kv_cache_is_as_full_as_the_fullest() -> None:
    config = 'vllm:cache_config_info{{block_size="16",engine="{}",num_gpu_blocks="{}"}} 1.0\n'
    reading = read(
        make_ranks("vllm:generation_tokens_total", {"0": 10, "1": 20})
        + make_ranks("vllm:num_requests_running", {"1": 4, "0": 3})
        + make_ranks("vllm:kv_cache_usage_perc", {"0": 0.2, "1": 0.9})
        + config.format(0, 100)
        + config.format(1, 200)
    )
    assert reading.ranks == 2
    assert reading.counters[Counter.GENERATED_TOKENS] == 30.0
    assert reading.gauges[Gauge.RUNNING_REQUESTS] == 7.0
    assert reading.gauges[Gauge.KV_CACHE_RATIO] == 0.9
    assert reading.gauges[Gauge.KV_CAPACITY_TOKENS] == 4800.0


def test_counter_that_lacks_a_rank_is_not_a_smaller_number() -> None:
    text = make_ranks("vllm:generation_tokens_total", {"0": 10, "1": 20}) + make_ranks(
        "vllm:prompt_tokens_total", {"0": 9}
    )
    assert read(text).counters == {Counter.GENERATED_TOKENS: 30.0}


def test_histogram_that_lacks_a_rank_is_absent_and_ranks_with_other_edges_have_no_shape() -> None:
    tokens = make_ranks("vllm:generation_tokens_total", {"0": 10, "1": 20})
    first = make_histogram_lines(
        "vllm:time_to_first_token_seconds", 'engine="0",model_name="m"', {"1": 2, "2": 3, "+Inf": 4}, 9.0
    )
    second = first.replace('engine="0"', 'engine="1"')
    other = make_histogram_lines(
        "vllm:time_to_first_token_seconds", 'engine="1",model_name="m"', {"1": 2, "3": 3, "+Inf": 4}, 9.0
    )
    assert Histogram.TTFT not in read(tokens + first).histograms
    assert read(tokens + first + second).histograms[Histogram.TTFT] == HistogramReading(
        (1.0, 2.0), (4.0, 6.0), 8.0, 18.0
    )
    assert read(tokens + first + other).histograms[Histogram.TTFT] == HistogramReading((), (), 8.0, 18.0)


def test_several_llms_are_kept_apart() -> None:
    text = (
        'vllm:generation_tokens_total{model_name="b"} 10\nvllm:generation_tokens_total{model_name="a"} 3\n'
        'vllm:num_requests_running{model_name="a"} 1\n'
        'vllm:cache_config_info{block_size="16",num_gpu_blocks="10"} 1.0\n'
    ) + make_http({("/v1/completions", "2xx"): 5})
    first, second = read_page(text.encode(), "vllm", POD, 7.0)
    assert (first.model_name, first.counters) == ("a", {Counter.GENERATED_TOKENS: 3.0})
    assert (second.model_name, second.counters) == ("b", {Counter.GENERATED_TOKENS: 10.0})
    assert first.gauges == {Gauge.RUNNING_REQUESTS: 1.0, Gauge.KV_CAPACITY_TOKENS: 160.0}
    assert second.gauges == {Gauge.KV_CAPACITY_TOKENS: 160.0}
    assert read(text, model_name="b") == second


def test_llm_that_is_not_on_the_page_is_named_beside_those_that_are() -> None:
    with pytest.raises(BadDocument, match="page shows m, not another"):
        read(TOKENS, model_name="another")


# --- numbers that are none --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("value", ["NaN", "-1.0", "+Inf", "-Inf"])
def test_impossible_numbers_are_absent(value: str) -> None:
    names = (
        "vllm:num_requests_running",
        "vllm:kv_cache_usage_perc",
        "vllm:prompt_tokens_total",
        "vllm:request_success_total",
    )
    reading = read(TOKENS + "".join(f'{name}{{model_name="m"}} {value}\n' for name in names))
    assert reading.counters == {Counter.GENERATED_TOKENS: 900.0}
    assert not reading.gauges


def test_kv_cache_cannot_be_fuller_than_full() -> None:
    assert not read(TOKENS + 'vllm:kv_cache_usage_perc{model_name="m"} 1.5\n').gauges


@pytest.mark.parametrize(
    "labels, tokens",
    [
        ('block_size="16",num_gpu_blocks="100"', 1600.0),
        ('block_size="16",kv_cache_size_tokens="1500",num_gpu_blocks="100"', 1500.0),
        ('block_size="16",kv_cache_size_tokens="None",num_gpu_blocks="100"', 1600.0),
        ('block_size="16",num_gpu_blocks="None"', None),
        ('block_size="None",num_gpu_blocks="100"', None),
        ('block_size="16",num_gpu_blocks="0"', None),
        ('cache_dtype="auto"', None),
        (f'block_size="16",num_gpu_blocks="{"9" * 5000}"', None),
    ],
)
def test_kv_capacity_is_told_in_labels_or_not_at_all(labels: str, tokens: float | None) -> None:
    reading = read(f"{TOKENS}vllm:cache_config_info{{{labels}}} 1.0\n")
    assert reading.gauges.get(Gauge.KV_CAPACITY_TOKENS) == tokens


@pytest.mark.parametrize("states, awake", [(["1.0"], 1.0), (["0.0"], 0.0), (["1.0", "0.0"], 0.0)])
def test_pod_sleeps_when_any_rank_does(states: list[str], awake: float) -> None:
    lines = (
        f'vllm:engine_sleep_state{{engine="{rank}",model_name="m",sleep_state="awake"}} {state}\n'
        f'vllm:engine_sleep_state{{engine="{rank}",model_name="m",sleep_state="discard_all"}} 1.0\n'
        for rank, state in enumerate(states)
    )
    tokens = make_ranks("vllm:generation_tokens_total", {str(rank): 1.0 for rank in range(len(states))})
    assert read(tokens + "".join(lines)).gauges == {Gauge.AWAKE: awake}


def test_swapped_requests_of_old_engines_wait() -> None:
    text = TOKENS + 'vllm:num_requests_waiting{model_name="m"} 4\nvllm:num_requests_swapped{model_name="m"} 2\n'
    assert read(text).gauges == {Gauge.WAITING_REQUESTS: 6.0}


# --- histograms that contradict themselves ----------------------------------------------------------------------------
@pytest.mark.parametrize(
    "lines",
    [
        'x_bucket{le="1",model_name="m"} 2\nx_bucket{le="2",model_name="m"} 3\n',  # cut: neither count nor sum
        'x_bucket{le="1",model_name="m"} 2\nx_count{model_name="m"} 4\nx_sum{model_name="m"} 9\n',  # no open bucket
        'x_bucket{le="+Inf",model_name="m"} 4\nx_count{model_name="m"} 4\n',  # no sum
        'x_bucket{le="1",model_name="m"} 2\nx_bucket{le="+Inf",model_name="m"} 3\n'
        'x_count{model_name="m"} 4\nx_sum{model_name="m"} 9\n',  # open bucket and count differ
        'x_bucket{le="1",model_name="m"} 5\nx_bucket{le="2",model_name="m"} 3\nx_bucket{le="+Inf",model_name="m"} 6\n'
        'x_count{model_name="m"} 6\nx_sum{model_name="m"} 9\n',  # falling
        'x_bucket{le="1",model_name="m"} NaN\nx_bucket{le="+Inf",model_name="m"} 6\n'
        'x_count{model_name="m"} 6\nx_sum{model_name="m"} 9\n',
        'x_bucket{le="+Inf",model_name="m"} 4\nx_count{model_name="m"} 4\nx_sum{model_name="m"} NaN\n',
    ],
)
def test_histogram_that_contradicts_itself_is_absent(lines: str) -> None:
    assert not read(TOKENS + lines.replace("x_", "vllm:time_to_first_token_seconds_")).histograms


@pytest.mark.parametrize("edge", ["one", "NaN", "", "-Inf"])
def test_bucket_edge_that_is_no_number_spoils_the_page(edge: str) -> None:
    text = make_histogram_lines("vllm:time_to_first_token_seconds", 'model_name="m"', {edge: 1, "+Inf": 1}, 1.0)
    with pytest.raises(BadDocument, match="edge"):
        read(TOKENS + text)


def test_buckets_may_come_in_any_order() -> None:
    text = make_histogram_lines(
        "vllm:time_to_first_token_seconds", 'model_name="m"', {"+Inf": 9, "10.0": 8, "0.5": 2, "2": 5}, 20.0
    )
    expected = HistogramReading((0.5, 2.0, 10.0), (2.0, 5.0, 8.0), 9.0, 20.0)
    assert read(TOKENS + text).histograms[Histogram.TTFT] == expected


# --- pages of something else ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text, why",
    [
        ("process_start_time_seconds 1.7e9\n", "no LLM of vllm"),
        (make_http({("/v1/completions", "2xx"): 5}), "no LLM of vllm"),
        ('vllm:num_requests_running{model_name="m"} 3\n', "no counter of vllm"),
        ("node_load1 0.5\n", "none of the wanted series"),
    ],
)
def test_page_that_says_nothing_about_the_engine_is_a_bad_document(text: str, why: str) -> None:
    with pytest.raises(BadDocument, match=why):
        read(text)


def test_engine_nobody_knows_is_named_beside_those_that_are_known() -> None:
    with pytest.raises(BadDocument, match="sglang, vllm, got 'tgi'"):
        read(TOKENS, engine="tgi")


# --- SGLang -----------------------------------------------------------------------------------------------------------
def make_sglang(name: str, value: float, **labels: str) -> str:
    text = ",".join(f'{key}="{value}"' for key, value in {"model_name": "m", **labels}.items())
    return f"sglang:{name}{{{text}}} {value}\n"


def test_priorities_are_parts_of_a_total_that_is_there_too() -> None:
    parts = make_sglang("num_queue_reqs", 5, priority="0") + make_sglang("num_queue_reqs", 2, priority="1")
    assert read(parts, "sglang").gauges[Gauge.WAITING_REQUESTS] == 7.0
    total = make_sglang("num_queue_reqs", 7, priority="")
    assert read(parts + total, "sglang").gauges[Gauge.WAITING_REQUESTS] == 7.0
    assert read(total + parts, "sglang").gauges[Gauge.WAITING_REQUESTS] == 7.0


def test_workers_of_one_rank_all_tell_the_same() -> None:
    running = "".join(
        make_sglang("num_running_reqs", 5 + int(rank), dp_rank=rank, tp_rank=str(worker), pp_rank="0")
        for rank, workers in {"0": range(4), "1": range(4, 12)}.items()
        for worker in workers
    )
    reading = read(running, "sglang")
    assert reading.gauges[Gauge.RUNNING_REQUESTS] == 11.0
    assert reading.ranks == 2


def test_queues_of_a_split_engine_wait_under_old_and_new_names() -> None:
    queues = make_sglang("num_queue_reqs", 1) + make_sglang("num_grammar_queue_reqs", 10)
    queues += make_sglang("num_decode_transfer_queue_reqs", 100)
    new = make_sglang("num_prefill_bootstrap_queue_reqs", 1000)
    old = make_sglang("num_prefill_prealloc_queue_reqs", 1000)
    for page in (queues + new, queues + old, queues + new + old):
        assert read(page, "sglang").gauges[Gauge.WAITING_REQUESTS] == 1111.0
    assert Gauge.WAITING_REQUESTS not in read(make_sglang("num_grammar_queue_reqs", 10), "sglang").gauges


def test_pool_of_full_attention_precedes_the_greatest_over_pools() -> None:
    page = make_sglang("token_usage", 0.9) + make_sglang("full_token_usage", 0.4)
    assert read(page, "sglang").gauges[Gauge.KV_CACHE_RATIO] == 0.4


@pytest.mark.parametrize("prefix", ["sglang:", "sglang_", ""])
def test_arrivals_are_counted_by_the_front_end(prefix: str) -> None:
    page = make_sglang("num_requests_total", 90, is_streaming="true") + make_sglang("num_requests_total", 5)
    page += f'{prefix}http_requests_total{{endpoint="/v1/chat/completions",method="POST"}} 100\n'
    page += f'{prefix}http_requests_total{{endpoint="/metrics",method="GET"}} 700\n'
    page += f'{prefix}http_responses_total{{endpoint="/v1/chat/completions",status_code="200"}} 95\n'
    page += f'{prefix}http_responses_total{{endpoint="/v1/chat/completions",status_code="400"}} 3\n'
    counters = read(page, "sglang").counters
    assert counters == {Counter.HTTP_ARRIVALS: 100.0, Counter.HTTP_OK: 95.0, Counter.FINISHED: 95.0}


def test_lengths_come_from_counters_where_histograms_are_switched_off() -> None:
    page = make_sglang("num_requests_total", 10) + make_sglang("prompt_tokens_total", 3000)
    page += make_sglang("generation_tokens_total", 700)
    histograms = read(page, "sglang").histograms
    assert histograms == {
        Histogram.INPUT_TOKENS: HistogramReading((), (), 10.0, 3000.0),
        Histogram.OUTPUT_TOKENS: HistogramReading((), (), 10.0, 700.0),
    }
    shape = make_histogram_lines("sglang:prompt_tokens_histogram", 'model_name="m"', {"100": 4, "+Inf": 9}, 2000.0)
    assert read(page + shape, "sglang").histograms[Histogram.INPUT_TOKENS].edges == (100.0,)


def test_work_is_counted_while_it_is_done() -> None:
    page = "".join(
        make_sglang("realtime_tokens_total", count, mode=mode, dp_rank=rank)
        for rank in "01"
        for mode, count in {"prefill_compute": 70, "prefill_cache": 20, "decode": 9}.items()
    )
    counters = read(page + make_sglang("generation_tokens_total", 4), "sglang").counters
    assert counters == {Counter.COMPUTED_TOKENS: 140.0, Counter.GENERATED_TOKENS: 18.0}


def test_rank_that_has_done_nothing_yet_is_missing_from_counters() -> None:
    page = make_sglang("num_running_reqs", 0, dp_rank="0") + make_sglang("num_running_reqs", 3, dp_rank="1")
    page += make_sglang("realtime_tokens_total", 50, dp_rank="1", mode="decode")
    assert read(page, "sglang").counters[Counter.GENERATED_TOKENS] == 50.0


def test_page_before_the_first_request_has_gauges_only() -> None:
    assert read(make_sglang("num_running_reqs", 0), "sglang").counters == {}
