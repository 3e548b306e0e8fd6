"""SGLang, old (2025) and new (2026) names. A table, and what its schedulers say twice.

Children appear when first used, so a page without them says nothing; gauges are late by up to 2 s and stand still when
idle. Requests, prompt and cached tokens are counted when a request finishes, ``realtime_tokens`` while work is done.
"""

from __future__ import annotations

from adapter.collector.engine_tables.http import is_answered, is_inference
from adapter.collector.engine_tables.table import EngineTable, Fold, GaugeRule, Sample, Series
from adapter.collector.exposition import Labels
from optimizer.domain import Counter, Gauge, Histogram

_WORKER_LABELS = ("pp_rank", "tp_rank", "moe_ep_rank")


def _is_decode(labels: Labels) -> bool:
    return labels.get("mode") == "decode"


def _is_prefill_compute(labels: Labels) -> bool:
    return labels.get("mode") == "prefill_compute"


def _keep_once(samples: list[Sample]) -> list[Sample]:
    """Return the series without those that repeat others.

    With priority scheduling the total carries ``priority=""`` beside its parts; with metrics for all schedulers every
    worker of a data-parallel rank tells the same, of which the first one is taken.
    """
    totals = [sample for sample in samples if not sample[0].get("priority")]
    samples = totals or samples
    first: dict[str, tuple[float, ...]] = {}
    for labels, _ in samples:
        rank, worker = labels.get("dp_rank", ""), _get_worker(labels)
        first[rank] = min(first.get(rank, worker), worker)
    return [sample for sample in samples if _get_worker(sample[0]) == first[sample[0].get("dp_rank", "")]]


def _get_worker(labels: Labels) -> tuple[float, ...]:
    texts = (labels.get(name, "0") for name in _WORKER_LABELS)
    return tuple(float(text) if text.isdecimal() else 0.0 for text in texts)


SGLANG = EngineTable(
    name="sglang",
    counters={
        Counter.HTTP_ARRIVALS: (Series("sglang:http_requests", is_inference), Series("http_requests", is_inference)),
        Counter.HTTP_OK: (Series("sglang:http_responses", is_answered), Series("http_responses", is_answered)),
        Counter.FINISHED: (Series("sglang:num_requests"),),
        Counter.PROMPT_TOKENS: (Series("sglang:prompt_tokens"),),
        Counter.CACHED_TOKENS: (Series("sglang:cached_tokens"),),
        Counter.COMPUTED_TOKENS: (Series("sglang:realtime_tokens", _is_prefill_compute),),
        Counter.GENERATED_TOKENS: (Series("sglang:realtime_tokens", _is_decode), Series("sglang:generation_tokens")),
        Counter.PREEMPTIONS: (Series("sglang:num_retracted_requests"),),
        Counter.ITERATIONS: (Series("sglang:cuda_graph_passes"),),
    },
    gauges={
        Gauge.RUNNING_REQUESTS: GaugeRule((("sglang:num_running_reqs",),)),
        Gauge.WAITING_REQUESTS: GaugeRule(
            (
                ("sglang:num_queue_reqs",),
                ("sglang:num_grammar_queue_reqs",),
                ("sglang:num_prefill_bootstrap_queue_reqs", "sglang:num_prefill_prealloc_queue_reqs"),
                ("sglang:num_prefill_inflight_queue_reqs",),
                ("sglang:num_decode_prealloc_queue_reqs",),
                ("sglang:num_decode_transfer_queue_reqs",),
            )
        ),
        # `token_usage` is the greatest over all pools of memory; that of full attention limits the batch.
        Gauge.KV_CACHE_RATIO: GaugeRule(
            (("sglang:full_token_usage", "sglang:token_usage"),), Fold.LARGEST, highest=1.0
        ),
        Gauge.KV_CAPACITY_TOKENS: GaugeRule((("sglang:max_total_num_tokens",),)),
    },
    histograms={
        Histogram.TTFT: ("sglang:time_to_first_token_seconds",),
        Histogram.ITL: ("sglang:inter_token_latency_seconds", "sglang:time_per_output_token_seconds"),
        Histogram.TTLT: ("sglang:e2e_request_latency_seconds",),
        Histogram.QUEUE_TIME: ("sglang:queue_time_seconds",),
        Histogram.INPUT_TOKENS: ("sglang:prompt_tokens_histogram",),
        Histogram.OUTPUT_TOKENS: ("sglang:generation_tokens_histogram",),
    },
    # The histograms of lengths are switched off by default; these counters move together when a request finishes.
    totals={
        Histogram.INPUT_TOKENS: (Counter.FINISHED, Series("sglang:prompt_tokens")),
        Histogram.OUTPUT_TOKENS: (Counter.FINISHED, Series("sglang:generation_tokens")),
    },
    starts=("process_start_time_seconds",),
    rank_label="dp_rank",
    shows_every_rank=False,
    keep=_keep_once,
)
