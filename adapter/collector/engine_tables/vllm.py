"""vLLM: V0, early V1 and V1 up to 0.32. A table, no code that reads.

Names that come and go: the KV gauge lost its ``gpu_`` in 2025; ``time_per_output_token_seconds`` became
``inter_token_latency_seconds`` with 0.11; ``prompt_tokens_by_source`` and ``admission_rejections`` are recent.
``iteration_tokens_total`` is a histogram in spite of its name.
"""

from __future__ import annotations

from adapter.collector.engine_tables.http import is_admitted_or_failed, is_answered
from adapter.collector.engine_tables.table import EngineTable, Fold, GaugeRule, Series
from adapter.collector.exposition import Labels
from optimizer.domain import Counter, Gauge, Histogram


def _is_computed(labels: Labels) -> bool:
    return labels.get("source") == "local_compute"


def _is_awake(labels: Labels) -> bool:
    return labels.get("sleep_state") == "awake"


def _to_kv_tokens(labels: Labels, value: float) -> float | None:  # noqa: ARG001
    """Return the tokens that fit into the KV cache; old and hybrid models write ``None`` for what they do not know."""
    stated = _to_positive(labels.get("kv_cache_size_tokens"))
    if stated is not None:
        return stated
    size, blocks = _to_positive(labels.get("block_size")), _to_positive(labels.get("num_gpu_blocks"))
    return None if size is None or blocks is None else size * blocks


def _to_positive(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdecimal() and float(text) > 0.0 else None


VLLM = EngineTable(
    name="vllm",
    counters={
        Counter.HTTP_REQUESTS: (Series("http_requests", is_admitted_or_failed),),
        Counter.HTTP_OK: (Series("http_requests", is_answered),),
        Counter.REJECTED: (Series("vllm:admission_rejections"),),
        # Every finished sequence is in the latency histogram too, also where V0 has no child of the counter yet.
        Counter.FINISHED: (Series("vllm:request_success"), Series("vllm:e2e_request_latency_seconds_count")),
        Counter.PROMPT_TOKENS: (Series("vllm:prompt_tokens"),),
        Counter.CACHED_TOKENS: (
            Series("vllm:prompt_tokens_cached"),
            Series("vllm:prefix_cache_hits"),
            Series("vllm:gpu_prefix_cache_hits"),
        ),
        Counter.COMPUTED_TOKENS: (Series("vllm:prompt_tokens_by_source", _is_computed),),
        Counter.GENERATED_TOKENS: (Series("vllm:generation_tokens"),),
        Counter.PREEMPTIONS: (Series("vllm:num_preemptions"),),
        Counter.ITERATIONS: (Series("vllm:iteration_tokens_total_count"),),
    },
    gauges={
        Gauge.RUNNING_REQUESTS: GaugeRule((("vllm:num_requests_running",),)),
        Gauge.WAITING_REQUESTS: GaugeRule(
            (("vllm:num_requests_waiting",), ("vllm:num_requests_swapped",)),
            is_first_whole=True,  # only V0 swaps
        ),
        Gauge.KV_CACHE_RATIO: GaugeRule(
            (("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),), Fold.LARGEST, highest=1.0
        ),
        Gauge.KV_CAPACITY_TOKENS: GaugeRule((("vllm:cache_config_info",),), to_value=_to_kv_tokens),
        Gauge.AWAKE: GaugeRule((("vllm:engine_sleep_state",),), Fold.LEAST, _is_awake, highest=1.0),
    },
    histograms={
        Histogram.TTFT: ("vllm:time_to_first_token_seconds",),
        Histogram.ITL: ("vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds"),
        Histogram.TTLT: ("vllm:e2e_request_latency_seconds",),
        Histogram.QUEUE_TIME: ("vllm:request_queue_time_seconds", "vllm:time_in_queue_requests"),
        Histogram.INPUT_TOKENS: ("vllm:request_prompt_tokens",),
        Histogram.OUTPUT_TOKENS: ("vllm:request_generation_tokens",),
        Histogram.SEQUENCES: ("vllm:request_params_n",),
    },
    starts=("process_start_time_seconds", "vllm:generation_tokens_created"),
)
