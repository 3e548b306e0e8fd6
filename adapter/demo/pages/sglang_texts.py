"""Texts of the metrics page of SGLang, as read in its source: help by family. Data only.

Names and texts: SGLang contributors, Apache-2.0.
"""

# Gauges of the scheduler, in the order of the page.
GAUGE_TEXTS: dict[str, str] = {
    "num_running_reqs": "The number of running requests.",
    "num_queue_reqs": "The number of requests in the waiting queue.",
    "num_grammar_queue_reqs": "The number of requests in the grammar waiting queue.",
    "gen_throughput": "The generation throughput (token/s).",
    "cache_hit_rate": "The prefix cache hit rate.",
    "decode_sum_seq_lens": "The sum of all sequence lengths in decode.",
    "token_usage": "The token usage.",
    "full_token_usage": "The token usage for full attention layers.",
    "swa_token_usage": "The token usage for SWA layers.",
    "mamba_usage": "The token usage for Mamba layers.",
    "num_used_tokens": "The number of used tokens.",
    "kv_available_tokens": "Number of free token slots in the KV cache pool.",
    "kv_evictable_tokens": "Number of evictable (radix-cached) token slots in the KV cache pool.",
    "kv_used_tokens": "Number of actively used token slots in the KV cache pool.",
    "num_retracted_reqs": "The number of retracted requests.",
    "num_paused_reqs": "The number of paused requests by async weight sync.",
    "num_prefill_bootstrap_queue_reqs": "The number of requests in the prefill bootstrap queue.",
    "num_prefill_inflight_queue_reqs": "The number of requests in the prefill inflight queue.",
    "num_decode_prealloc_queue_reqs": "The number of requests in the decode prealloc queue.",
    "num_decode_transfer_queue_reqs": "The number of requests in the decode transfer queue.",
    "utilization": "The utilization.",
    "fwd_occupancy": "Forward pass GPU occupancy percentage.",
    "max_total_num_tokens": "Maximum total number of tokens in the KV cache pool.",
    "page_size": "KV cache page size in tokens.",
    "num_pages": "Number of KV cache pages.",
    "context_len": "Maximum context length.",
}

COUNTER_TEXTS: dict[str, str] = {
    "num_retracted_requests_total": "Total number of retracted requests.",
    "cuda_graph_passes_total": "Total number of forward passes categorized by CUDA graph.",
    "realtime_tokens_total": (
        "Total number of tokens processed (updated on each log interval). mode: prefill_compute, prefill_cache, decode."
    ),
    "prompt_tokens_total": "Number of prefill tokens processed.",
    "generation_tokens_total": "Number of generation tokens processed.",
    "cached_tokens_total": "Number of cached prompt tokens by source (device/host/storage).",
    "num_requests_total": "Number of requests processed.",
    "num_aborted_requests_total": "Number of requests aborted.",
    "http_requests_total": "Total number of HTTP requests by endpoint and method",
    "http_responses_total": "Total number of HTTP responses by endpoint and status code",
}

HISTOGRAM_TEXTS: dict[str, str] = {
    "queue_time_seconds": "Histogram of queueing time in seconds.",
    "prompt_tokens_histogram": "Histogram of prompt token length.",
    "uncached_prompt_tokens_histogram": "Histogram of uncached (compute) prompt token length.",
    "generation_tokens_histogram": "Histogram of generation token length.",
    "time_to_first_token_seconds": "Histogram of time to first token in seconds.",
    "inter_token_latency_seconds": "Histogram of inter-token latency in seconds.",
    "e2e_request_latency_seconds": "Histogram of End-to-end request latency in seconds",
}

STARTUP_TEXT = "Engine startup duration by phase in seconds."
ACTIVE_TEXT = "Number of currently active HTTP requests"
