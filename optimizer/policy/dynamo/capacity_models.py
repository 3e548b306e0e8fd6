"""Dynamo planner, generation 2: what one replica carries, from linear laws of its iteration time.

    prefill      w = a tokens + b;  a prompt is cut into chunks of M;  capacity = 1 / sum w
    decode       w = a_n n + a_k KV + b;  largest n with w <= ITL;  capacity = n / (osl w),  KV = n (isl + osl / 2)
    aggregated   w = a_p prefill + a_k KV + b;  prefill per iteration min(n isl (1 - hit) / osl, M)

n = 1 is answered even where it breaks a target. Quirk kept: means of lengths stand for all requests. It fits nothing.

Source: NVIDIA Dynamo, performance models at 4d3f6720885f, 439d645817d6 and 518a70279da9.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

UNKNOWN_DECODE_REQUESTS, UNKNOWN_AGGREGATED_REQUESTS = 256, 1024
"""Most requests in a batch where neither the KV cache nor the seats are known."""


@dataclass(frozen=True, slots=True)
class PrefillLaw:
    """Iteration time of prefill: ``a tokens + b`` [s]."""

    per_token_s: float
    fixed_s: float

    def compute_ttft_s(self, tokens: float, max_batched_tokens: int) -> float:
        """Return the time until `tokens` are computed in chunks of at most `max_batched_tokens` [s]."""
        return self.per_token_s * tokens + self.fixed_s * count_chunks(tokens, max_batched_tokens)


@dataclass(frozen=True, slots=True)
class DecodeLaw:
    """Iteration time of decode: ``a_n n + a_k KV + b`` [s]."""

    per_request_s: float
    per_kv_token_s: float
    fixed_s: float

    def compute_itl_s(self, requests: float, kv_tokens: float) -> float:
        """Return the time of one iteration [s]."""
        return self.per_request_s * requests + self.per_kv_token_s * kv_tokens + self.fixed_s


@dataclass(frozen=True, slots=True)
class AggregatedLaw:
    """Iteration time where prefill and decode share an engine: ``a_p prefill + a_k KV + b`` [s]."""

    per_prefill_token_s: float
    per_kv_token_s: float
    fixed_s: float

    def compute_itl_s(self, prefill_tokens: float, kv_tokens: float) -> float:
        """Return the time of one iteration [s]."""
        return self.per_prefill_token_s * prefill_tokens + self.per_kv_token_s * kv_tokens + self.fixed_s

    def compute_ttft_s(self, tokens: float, kv_tokens: float, max_batched_tokens: int) -> float:
        """Return the time until `tokens` are computed in chunks, beside `kv_tokens` of decode [s]."""
        chunks = count_chunks(tokens, max_batched_tokens)
        return self.per_prefill_token_s * tokens + (self.per_kv_token_s * kv_tokens + self.fixed_s) * chunks


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """What bounds a batch: tokens per iteration, tokens in the KV cache, seats; None where not known."""

    max_batched_tokens: int
    kv_tokens: float | None = None
    requests: int | None = None


@dataclass(frozen=True, slots=True)
class MeanLengths:
    """Mean lengths of requests [tokens], and the share of prompt tokens found in the cache [0-1]."""

    input_tokens: float
    output_tokens: float
    cached_ratio: float = 0.0

    @property
    def context_tokens(self) -> float:
        """Mean context of a request while it decodes [tokens]."""
        return self.input_tokens + self.output_tokens / 2.0


@dataclass(frozen=True, slots=True)
class ReplicaCapacity:
    """What a replica carries.

    Attributes
    ----------
    capacity_per_s
        Requests [1/s].
    batch_requests
        Requests in the batch then, 0 where no batch is looked at.
    ttft_s, itl_s
        Latencies then [s]; 0 where the pool has none.
    limit_requests
        The most that any bound but the targets lets into the batch.
    """

    capacity_per_s: float
    batch_requests: int = 0
    ttft_s: float = 0.0
    itl_s: float = 0.0
    limit_requests: int = 0


def count_chunks(tokens: float, max_batched_tokens: int) -> int:
    """Return into how many chunks `tokens` are cut, at least one."""
    return max(math.ceil(tokens / max_batched_tokens), 1)


def find_prefill_capacity(law: PrefillLaw, input_tokens: float, max_batched_tokens: int) -> ReplicaCapacity:
    """Return what a prefill replica carries of prompts of `input_tokens`, those cached left out."""
    ttft_s = law.compute_ttft_s(input_tokens, max_batched_tokens)
    return ReplicaCapacity(1.0 / ttft_s, ttft_s=ttft_s)


def find_decode_capacity(
    law: DecodeLaw, context_tokens: float, output_tokens: float, limits: BatchLimits, target_itl_s: float
) -> ReplicaCapacity:
    """Return what a decode replica carries within `target_itl_s` [s]; a lone request is answered whatever it takes."""
    limit = UNKNOWN_DECODE_REQUESTS if limits.kv_tokens is None else math.floor(limits.kv_tokens / context_tokens)
    limit = max(min(limit, limit if limits.requests is None else limits.requests), 1)

    def compute_itl_s(requests: int) -> float:
        return law.compute_itl_s(requests, requests * context_tokens)

    batch = max((count for count in range(1, limit + 1) if compute_itl_s(count) <= target_itl_s), default=1)
    itl_s = compute_itl_s(batch)
    return ReplicaCapacity(batch / (output_tokens * itl_s), batch, itl_s=itl_s, limit_requests=limit)


def find_aggregated_capacity(
    law: AggregatedLaw,
    lengths: MeanLengths,
    limits: BatchLimits,
    *,
    target_ttft_s: float,
    target_itl_s: float,
    mean_input_tokens: float | None = None,
) -> ReplicaCapacity:
    """Return what a replica of both roles carries within the targets [s]: the batch before the first that breaks one.

    `mean_input_tokens` is the prompt that waits behind the batch, None for that of `lengths`.
    """
    waiting = lengths.input_tokens if mean_input_tokens is None else mean_input_tokens
    limit = _limit_aggregated(lengths, limits)
    computed_ratio = 1.0 - lengths.cached_ratio

    def look(requests: int) -> ReplicaCapacity:
        share = requests * lengths.input_tokens * computed_ratio / lengths.output_tokens
        prefill_tokens = min(share, limits.max_batched_tokens)
        kv_tokens = requests * lengths.context_tokens
        itl_s = law.compute_itl_s(prefill_tokens, kv_tokens)
        queued_tokens = prefill_tokens + waiting * computed_ratio
        ttft_s = law.compute_ttft_s(queued_tokens, kv_tokens, limits.max_batched_tokens)
        return ReplicaCapacity(requests / (lengths.output_tokens * itl_s), requests, ttft_s, itl_s, limit)

    best = look(1)
    for requests in range(1, limit + 1):
        seen = look(requests)
        if seen.itl_s > target_itl_s or seen.ttft_s > target_ttft_s:
            break
        best = seen
    return best


def _limit_aggregated(lengths: MeanLengths, limits: BatchLimits) -> int:
    """Return the most requests that KV cache, seats, and the balance of prefill and decode let into the batch."""
    found = [UNKNOWN_AGGREGATED_REQUESTS if limits.requests is None else limits.requests]
    if limits.kv_tokens is not None:
        found.append(math.floor(limits.kv_tokens / lengths.context_tokens))
    found.append(math.floor(limits.max_batched_tokens - lengths.input_tokens / lengths.output_tokens))
    return max(min(found), 1)
