"""What was seen of the traffic as Prometheus metrics. No I/O of its own."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from optimizer.domain import ModelTraffic, Observation, VariantTraffic

_PREFIX = "variant_autoscaler_observed"


def collect_traffic(models: tuple[ModelTraffic, ...]) -> Iterator[Metric]:
    """Yield the families of every LLM; what is not known has no sample."""
    latency = _family("latency_seconds", "Latency over the last minute, to a bucket.", "quantity", "quantile")
    tokens = _family("tokens", "Mean tokens per finished request over the last minute.", "direction")
    attained = _family(
        "attained_ratio",
        "Share of the last minute's observations within a target: requests for TTFT and TTLT, tokens for ITL.",
        "service_class",
        "quantity",
    )
    pods = _family(
        "pods", "Pods by phase and by what their last page was: usable, or why not.", "variant", "phase", "page"
    )
    for model in models:
        labels = [model.key.namespace, model.key.model_id]
        _add_pods(pods, labels, model.variants)
        if model.traffic is None:
            continue
        for direction, mean in (("input", model.traffic.input_tokens), ("output", model.traffic.output_tokens)):
            _add(tokens, [*labels, direction], mean)
        for quantity, figures in model.traffic.latencies.items():
            for quantile, value in (("0.5", figures.p50_s), ("0.9", figures.p90_s), ("0.99", figures.p99_s)):
                _add(latency, [*labels, quantity.value, quantile], value)
        for entry in model.traffic.attained:
            _add(attained, [*labels, entry.service_class, entry.quantity.value], entry.ratio)
    yield from (latency, tokens, attained, pods)


def _family(name: str, documentation: str, *more_labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{_PREFIX}_{name}", documentation, labels=["namespace", "model_name", *more_labels])


def _add(family: GaugeMetricFamily, labels: list[str], observation: Observation) -> None:
    if observation.value is not None and math.isfinite(observation.value):
        family.add_metric(labels, observation.value)


def _add_pods(family: GaugeMetricFamily, labels: list[str], variants: tuple[VariantTraffic, ...]) -> None:
    for variant in variants:
        states = Counter(
            (pod.phase.value, "usable" if pod.reason is None else pod.reason.code.value) for pod in variant.pods
        )
        for (phase, page), count in sorted(states.items()):
            family.add_metric([*labels, variant.key.variant, phase, page], count)
