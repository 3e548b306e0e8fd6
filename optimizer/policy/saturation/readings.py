"""What the analyzers of saturation read of pods: peaks of gauges, mean lengths. A pod that tells nothing is not in it.

The peer puts 0 where a figure is missing; here such a pod does not report, which is what the rules have a word for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

from optimizer.domain import PodKey, PodPhase, PodSignals, PodState, SignalKind, SignalSpec

INPUT_TOKENS, OUTPUT_TOKENS, REQUESTS = "input_tokens_per_s", "output_tokens_per_s", "requests_per_s"
MOST_PODS_WITH_PEAKS = 200
"""Beyond so many pods only the newest gauges count, so that what is remembered stays small."""
_PARTS = 3

_SERIES = {
    INPUT_TOKENS: "vllm:prompt_tokens_total",
    OUTPUT_TOKENS: "vllm:generation_tokens_total",
    REQUESTS: "vllm:request_success_total",
}


@dataclass(frozen=True, slots=True)
class GaugeSample:
    """KV cache in use [0-1] and waiting requests of one pod at `time_s` [s]."""

    time_s: float
    kv_cache_ratio: float
    waiting_requests: float

    def reaches(self, other: GaugeSample) -> bool:
        """Return whether neither figure of `other` is above its own."""
        return other.kv_cache_ratio <= self.kv_cache_ratio and other.waiting_requests <= self.waiting_requests

    def join(self, other: GaugeSample) -> GaugeSample:
        """Return the larger of both figures, at its own time."""
        return GaugeSample(
            self.time_s,
            max(self.kv_cache_ratio, other.kv_cache_ratio),
            max(self.waiting_requests, other.waiting_requests),
        )


PeakHistory = Mapping[str, tuple[GaugeSample, ...]]
"""Gauges of the last window by pod, oldest first."""


def list_length_signals(window_s: float) -> tuple[SignalSpec, ...]:
    """Return the signals that mean lengths are made of, as vLLM names them; others fall back to those of the LLM.

    The peer divides sums of histograms of ended requests; over minutes rates of tokens and of requests say the same.
    """
    return tuple(SignalSpec(name, series, SignalKind.RATE, window_s=window_s) for name, series in _SERIES.items())


def name_pod(pod: PodKey) -> str:
    """Return the short name by which a pod is remembered, the same in every process."""
    return blake2b(f"{pod.namespace}/{pod.name}/{pod.uid}".encode(), digest_size=6).hexdigest()


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
    """Return the gauges of `pods`, which all report, over the last `window_s` [s]; other pods are forgotten.

    Samples of one third of the window become one, at the time of the newest; what a newer one reaches in both
    figures is left out, since it can never be a peak again.
    """
    tracked: dict[str, tuple[GaugeSample, ...]] = {}
    for pod in pods:
        name = name_pod(pod.pod)
        time_s = now_s if pod.seen_s is None else pod.seen_s
        newest = GaugeSample(time_s, pod.kv_cache_ratio or 0.0, pod.waiting_requests or 0.0)
        kept = [entry for entry in history.get(name, ()) if now_s - window_s <= entry.time_s < time_s]
        if kept and window_s > 0.0 and len({entry // (window_s / _PARTS) for entry in (kept[-1].time_s, time_s)}) == 1:
            newest = newest.join(kept.pop())
        tracked[name] = (*(entry for entry in kept if not newest.reaches(entry)), newest)
    if len(tracked) > MOST_PODS_WITH_PEAKS:
        return {name: samples[-1:] for name, samples in tracked.items()}
    return tracked


def find_peak(samples: Iterable[GaugeSample]) -> tuple[float, float]:
    """Return the largest KV cache in use [0-1] and the most waiting requests of at least one sample."""
    seen = tuple(samples)
    return max(entry.kv_cache_ratio for entry in seen), max(entry.waiting_requests for entry in seen)


def find_mean_lengths(signals: PodSignals) -> tuple[float, float] | None:
    """Return mean input and output [tokens] of one pod, None where it does not tell."""
    inputs, outputs, requests = (_get(signals, name) for name in (INPUT_TOKENS, OUTPUT_TOKENS, REQUESTS))
    return (inputs / requests, outputs / requests) if inputs is not None and outputs is not None and requests else None


def _get(signals: PodSignals, name: str) -> float | None:
    observed = signals.values.get(name)
    return None if observed is None else observed.value
