"""A page of a simulated engine says what the product's reader makes of the text that such an engine would show."""

from __future__ import annotations

import numpy as np

from adapter.collector import read_page
from adapter.collector.asked_series import AskedSeries
from adapter.collector.engine_tables import ENGINE_TABLES
from adapter.demo.engine_settings import EngineSettings
from adapter.demo.pages.http_counts import HttpCounts
from adapter.demo.pages.vllm_page import VllmPage
from optimizer.domain import PodKey, SignalKind, SignalSpec
from optimizer.simulation import EngineLimits, EngineRequest, TokenEngine, make_step_time
from optimizer.simulation.cluster.page import PageBody, PageForm, sign
from tests.builders.simulated_clusters import LAW

POD = PodKey("prod", "llama-a-0", "0")
KV_TOKENS = 20_000


def make_engine() -> TokenEngine:
    limits = EngineLimits(kv_capacity_tokens=KV_TOKENS, max_queued_requests=40)
    return TokenEngine(make_step_time(LAW), limits, 5.0, tells_tokens=False)


def load(engine: TokenEngine, http: HttpCounts, requests: int) -> None:
    """Let it serve, reject and preempt, with the HTTP layer counting along."""
    chance = np.random.default_rng(2)
    time_s = 5.0
    for number in range(requests):
        time_s += 0.01
        tokens = int(chance.integers(10, 1500))
        request = EngineRequest(str(number), time_s, tokens, int(chance.integers(1, 300)), tokens // 3)
        if not engine.submit(request):
            http.ended["/v1/chat/completions", "POST", "5xx"] += 1
            http.first_ended_s.setdefault(("/v1/chat/completions", "POST", "5xx"), time_s)
    finished = len(engine.advance(time_s + 4.0))
    if finished:
        http.ended["/v1/chat/completions", "POST", "2xx"] += finished
        http.first_ended_s.setdefault(("/v1/chat/completions", "POST", "2xx"), time_s)


def check_same(requests: int) -> None:
    engine, http = make_engine(), HttpCounts()
    load(engine, http, requests)
    settings = EngineSettings("llama", LAW, KV_TOKENS, max_queued_requests=40)
    page = VllmPage(settings, engine, http, started_s=5.0, created_s=5.0)
    (expected,) = read_page(page.render().encode(), "vllm", POD, engine.time_s)
    found = PageBody(engine, PageForm("llama"), 5.0).to_reading(POD, engine.time_ns, is_first=True)
    assert found.counters == expected.counters
    assert found.gauges == expected.gauges
    assert found.histograms == expected.histograms
    assert (found.start_s, found.model_name, found.engine, found.ranks, found.time_s, found.is_changed) == (
        expected.start_s,
        expected.model_name,
        expected.engine,
        expected.ranks,
        expected.time_s,
        expected.is_changed,
    )


def test_an_idle_engine_shows_the_same() -> None:
    check_same(0)


def test_a_busy_engine_shows_the_same() -> None:
    engine, http = make_engine(), HttpCounts()
    load(engine, http, 300)
    assert engine.counters.rejected
    assert engine.counters.preemptions
    assert engine.counters.finished
    check_same(300)


SPECS = (
    SignalSpec("running", "vllm:num_requests_running"),
    SignalSpec("kv", "vllm:kv_cache_usage_perc", labels={"model_name": "llama"}),
    SignalSpec("old kv", "vllm:gpu_cache_usage_perc"),
    SignalSpec("done", "vllm:request_success_total", SignalKind.RATE),
    SignalSpec("by length", "vllm:request_success_total", SignalKind.RATE, {"finished_reason": "length"}),
    SignalSpec("http", "http_requests_total", SignalKind.RATE),
    SignalSpec("refused", "http_requests_total", SignalKind.RATE, {"status": "5xx"}),
    SignalSpec("ttft", "vllm:time_to_first_token_seconds", SignalKind.QUANTILE, quantile_ratio=0.9),
    SignalSpec("itl", "vllm:inter_token_latency_seconds", SignalKind.QUANTILE, quantile_ratio=0.9),
    SignalSpec("queue", "vllm:request_queue_time_seconds", SignalKind.QUANTILE, quantile_ratio=0.9),
    SignalSpec("tokens", "vllm:request_prompt_tokens_sum", SignalKind.RATE),
    SignalSpec("prompts", "vllm:request_prompt_tokens_count", SignalKind.RATE),
    SignalSpec("generated", "vllm:generation_tokens_total", SignalKind.RATE),
    SignalSpec("prompt tokens", "vllm:prompt_tokens_total", SignalKind.RATE),
    SignalSpec("preempted", "vllm:num_preemptions_total", SignalKind.RATE),
    SignalSpec("other", "vllm:request_success_total", SignalKind.RATE, {"model_name": "mistral"}),
    SignalSpec("unknown", "vllm:nobody_knows"),
)


def test_series_that_were_asked_for_are_read_as_the_product_reads_them() -> None:
    engine, http = make_engine(), HttpCounts()
    load(engine, http, 300)
    settings = EngineSettings("llama", LAW, KV_TOKENS, max_queued_requests=40)
    page = VllmPage(settings, engine, http, started_s=5.0, created_s=5.0).render().encode()
    asked = AskedSeries(SPECS, ENGINE_TABLES["vllm"])
    (expected,) = read_page(page, "vllm", POD, engine.time_s, asked=asked)
    found = PageBody(engine, PageForm("llama", SPECS), 5.0).to_reading(POD, engine.time_ns, is_first=False)
    assert found.series == expected.series
    assert set(found.series) == {spec.name for spec in SPECS} - {"unknown"}


def test_whatever_moves_the_page_moves_its_signature() -> None:
    engine = make_engine()
    before = sign(engine)
    engine.advance(6.0)
    assert sign(engine) == before
    engine.submit(EngineRequest("1", 6.0, 100, 3))
    assert sign(engine) != before
