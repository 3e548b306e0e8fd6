"""What the analyzers of saturation read of pods: peaks of gauges, mean lengths. A pod that tells nothing is not in it.

The peer puts 0 where a figure is missing; here such a pod does not report, which is what the rules have a word for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from optimizer.domain import PodKey, PodPhase, PodSignals, PodState, SignalKind, SignalSpec

INPUT_TOKENS, INPUT_REQUESTS = "input_tokens_per_s", "input_requests_per_s"
OUTPUT_TOKENS, OUTPUT_REQUESTS = "output_tokens_per_s", "output_requests_per_s"
MOST_PODS_WITH_PEAKS = 200
"""Beyond so many pods only the newest gauges count, so that what is remembered stays small."""

_SERIES = {
    INPUT_TOKENS: "vllm:request_prompt_tokens_sum",
    INPUT_REQUESTS: "vllm:request_prompt_tokens_count",
    OUTPUT_TOKENS: "vllm:request_generation_tokens_sum",
    OUTPUT_REQUESTS: "vllm:request_generation_tokens_count",
}


@dataclass(frozen=True, slots=True)
class GaugeSample:
    """KV cache in use [0-1] and waiting requests of one pod at `time_s` [s]."""

    time_s: float
    kv_cache_ratio: float
    waiting_requests: float


PeakHistory = Mapping[str, tuple[GaugeSample, ...]]
"""Gauges of the last window by pod, oldest first."""


def list_length_signals(window_s: float) -> tuple[SignalSpec, ...]:
    """Return the signals that mean lengths are made of, as vLLM names them; others fall back to those of the LLM."""
    return tuple(SignalSpec(name, series, SignalKind.RATE, window_s=window_s) for name, series in _SERIES.items())


def name_pod(pod: PodKey) -> str:
    """Return the name by which a pod is remembered."""
    return f"{pod.namespace}/{pod.name}/{pod.uid}"


def list_reporting(pods: Iterable[PodState]) -> list[PodState]:
    """Return the pods that serve and whose newest page tells KV cache and queue."""
    return [
        pod
        for pod in pods
        if pod.phase is PodPhase.READY
        and pod.reason is None
        and pod.kv_cache_ratio is not None
        and pod.waiting_requests is not None
    ]


def track_peaks(history: PeakHistory, pods: Iterable[PodState], now_s: float, window_s: float) -> PeakHistory:
    """Return the gauges of `pods`, which all report, over the last `window_s` [s]; other pods are forgotten."""
    tracked: dict[str, tuple[GaugeSample, ...]] = {}
    for pod in pods:
        name = name_pod(pod.pod)
        time_s = now_s if pod.seen_s is None else pod.seen_s
        newest = GaugeSample(time_s, pod.kv_cache_ratio or 0.0, pod.waiting_requests or 0.0)
        kept = [entry for entry in history.get(name, ()) if now_s - window_s <= entry.time_s < time_s]
        tracked[name] = (*kept, newest)
    if len(tracked) > MOST_PODS_WITH_PEAKS:
        return {name: samples[-1:] for name, samples in tracked.items()}
    return tracked


def find_peak(samples: Iterable[GaugeSample]) -> tuple[float, float]:
    """Return the largest KV cache in use [0-1] and the most waiting requests of at least one sample."""
    seen = tuple(samples)
    return max(entry.kv_cache_ratio for entry in seen), max(entry.waiting_requests for entry in seen)


def find_mean_lengths(signals: PodSignals | None, otherwise_tokens: tuple[float, float] | None) -> tuple[float, float]:
    """Return mean input and output [tokens] of one pod; `otherwise_tokens` where it does not tell, else 0."""
    usual = otherwise_tokens or (0.0, 0.0)
    if signals is None:
        return usual
    inputs = _divide(signals, INPUT_TOKENS, INPUT_REQUESTS)
    outputs = _divide(signals, OUTPUT_TOKENS, OUTPUT_REQUESTS)
    return usual[0] if inputs is None else inputs, usual[1] if outputs is None else outputs


def _divide(signals: PodSignals, tokens: str, requests: str) -> float | None:
    observed = [signals.values.get(name) for name in (tokens, requests)]
    amount, count = (None if entry is None else entry.value for entry in observed)
    return amount / count if amount is not None and count else None
