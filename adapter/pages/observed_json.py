"""What was seen of the traffic as JSON values: rates, lengths, latencies, and every pod. Data only; no I/O."""

from __future__ import annotations

import math

from adapter.pages.values_json import Json, render_observation, render_reason
from optimizer.domain import DemandWindow, LatencyFigures, ModelTraffic, Observation, PodState, Traffic, VariantTraffic


def render_traffic(traffic: ModelTraffic | None, now_s: float) -> Json | None:
    """Return the JSON form of `traffic`, ages told by `now_s` [Unix s]; None when nothing was seen yet."""
    if traffic is None:
        return None
    return {
        "arrivals": None if traffic.newest is None else _render_newest(traffic.newest),
        **_render_traffic(traffic.traffic),
        "variants": [_render_variant(entry, now_s) for entry in traffic.variants],
    }


def _render_newest(window: DemandWindow) -> Json:
    return {
        "start_s": window.start_s,
        "end_s": window.end_s,
        "source": window.source.value,
        "count": window.arrivals,
        "overcounted": window.overcounted_arrivals,
    }


def _render_traffic(traffic: Traffic | None) -> Json:
    if traffic is None:
        return {"rate_per_s": None, "input_tokens": None, "output_tokens": None, "latencies": {}, "attained": []}
    stretch = {"start_s": traffic.start_s, "end_s": traffic.end_s}
    requests = {**stretch, "requests": traffic.finished_requests}
    return {
        "rate_per_s": {**stretch, "source": traffic.source.value, **render_observation(traffic.rate_per_s)},
        "input_tokens": {**requests, "mean_tokens": traffic.input_tokens.value},
        "output_tokens": {**requests, "mean_tokens": traffic.output_tokens.value},
        "cached_ratio": render_observation(traffic.cached_ratio),
        "generated_tokens_per_s": render_observation(traffic.generated_tokens_per_s),
        "iterations_per_s": render_observation(traffic.iterations_per_s),
        "latencies": {
            name.value: {**stretch, **_render_latency(figures)} for name, figures in traffic.latencies.items()
        },
        "attained": [
            {"service_class": entry.service_class, "quantity": entry.quantity.value, **render_observation(entry.ratio)}
            for entry in traffic.attained
        ],
    }


def _render_latency(figures: LatencyFigures) -> Json:
    return {
        "count": figures.count,
        "mean_s": figures.mean_s,
        "p50_s": _to_finite(figures.p50_s),
        "p90_s": _to_finite(figures.p90_s),
        "p99_s": _to_finite(figures.p99_s),
    }


def _to_finite(observation: Observation) -> float | None:
    value = observation.value
    return value if value is not None and math.isfinite(value) else None


def _render_variant(entry: VariantTraffic, now_s: float) -> Json:
    return {
        "variant": entry.key.variant,
        **_render_traffic(entry.traffic),
        "pods": [_render_pod(pod, now_s) for pod in entry.pods],
    }


def _render_pod(pod: PodState, now_s: float) -> Json:
    return {
        "name": pod.pod.name,
        "phase": pod.phase.value,
        "page_age_s": None if pod.seen_s is None else now_s - pod.seen_s,
        "running_requests": pod.running_requests,
        "waiting_requests": pod.waiting_requests,
        "kv_cache_ratio": pod.kv_cache_ratio,
        "reason": None if pod.reason is None else render_reason(pod.reason),
    }
