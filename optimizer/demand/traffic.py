"""Summaries of the last minute's windows, per variant and per LLM, for people and pages. Decisions do not rest on them.

One window alone holds too few requests for quantiles, so the windows of the last `SPAN_S` are added up; of the last two
passes where those are further apart, since a window is as long as a pass. What is older is never told, also while
nothing new is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce

from optimizer.demand.histogram import compute_attained_ratio, compute_quantile, merge_histograms
from optimizer.demand.length_sums import merge_length_sums
from optimizer.demand.merging import merge_windows
from optimizer.domain import (
    Attained,
    DemandSource,
    DemandWindow,
    FleetSnapshot,
    Histogram,
    HistogramReading,
    LatencyFigures,
    LatencyQuantity,
    LengthSums,
    ModelKey,
    ModelSnapshot,
    ModelTraffic,
    Observation,
    PodKey,
    ReasonCode,
    ServedModel,
    Settings,
    Traffic,
    VariantKey,
    VariantTraffic,
)

SPAN_S = 60.0
_TRUST = list(DemandSource)
_HISTOGRAMS = {
    LatencyQuantity.TTFT: Histogram.TTFT,
    LatencyQuantity.ITL: Histogram.ITL,
    LatencyQuantity.TTLT: Histogram.TTLT,
}


@dataclass(frozen=True, slots=True)
class TrafficHistory:
    """Windows of the last minute, of all pods of a variant or of an LLM together."""

    windows: Mapping[VariantKey | ModelKey, tuple[DemandWindow, ...]] = field(default_factory=dict)


def track_traffic(
    history: TrafficHistory, snapshot: FleetSnapshot, settings: Settings
) -> tuple[TrafficHistory, tuple[ModelTraffic, ...]]:
    """Return the history with the windows of `snapshot`, and what it shows of every LLM."""
    classes = {model.key: model for model in settings.models}
    oldest_s = snapshot.time_s - max(SPAN_S, 2 * settings.decision.period_s)
    windows: dict[VariantKey | ModelKey, tuple[DemandWindow, ...]] = {}
    traffic = []
    for model in snapshot.models:
        newest = _merge_newest(model)
        for key, window in newest.items():
            windows[key] = _append(history.windows.get(key, ()), window, oldest_s)
        traffic.append(_summarize_model(model, newest, windows, classes[model.key]))
    return TrafficHistory(windows), tuple(traffic)


def _merge_newest(model: ModelSnapshot) -> dict[VariantKey | ModelKey, DemandWindow | None]:
    """Return the newest window of every variant and of the LLM; None where nothing was seen."""
    variant_by_pod: dict[PodKey | None, VariantKey] = {
        pod.pod: variant.key for variant in model.variants for pod in variant.pods
    }
    by_variant: dict[VariantKey, list[DemandWindow]] = {variant.key: [] for variant in model.variants}
    for window in model.windows:
        if window.reason is None and window.pod in variant_by_pod:
            by_variant[variant_by_pod[window.pod]].append(window)
    everything = [window for windows in by_variant.values() for window in windows]
    newest: dict[VariantKey | ModelKey, DemandWindow | None] = {
        key: merge_windows(windows) if windows else None for key, windows in by_variant.items()
    }
    newest[model.key] = merge_windows(everything) if everything else None
    return newest


def _append(
    windows: tuple[DemandWindow, ...], window: DemandWindow | None, oldest_s: float
) -> tuple[DemandWindow, ...]:
    added = windows if window is None or window in windows[-1:] else (*windows, window)
    return tuple(entry for entry in added if entry.start_s >= oldest_s)


def _summarize_model(
    model: ModelSnapshot,
    newest: Mapping[VariantKey | ModelKey, DemandWindow | None],
    windows: Mapping[VariantKey | ModelKey, tuple[DemandWindow, ...]],
    served: ServedModel,
) -> ModelTraffic:
    gateway = model.gateway
    variants = tuple(
        VariantTraffic(variant.key, _summarize(windows[variant.key], served), variant.pods)
        for variant in model.variants
    )
    first = gateway if gateway is not None and gateway.arrivals is not None else newest[model.key]
    return ModelTraffic(model.key, first, _summarize(windows[model.key], served), variants)


def _summarize(windows: tuple[DemandWindow, ...], served: ServedModel) -> Traffic | None:
    if not windows:
        return None
    latencies = _merge_latencies(windows)
    inputs = _merge_lengths(window.input_lengths for window in windows)
    outputs = _merge_lengths(window.output_lengths for window in windows)
    prompt_tokens = _add_known(windows, lambda window: window.prompt_tokens)
    cached_tokens = _add_known(windows, lambda window: window.cached_tokens)
    watched_s = sum(window.duration_s for window in windows)
    return Traffic(
        start_s=windows[0].start_s,
        end_s=windows[-1].end_s,
        source=max((window.source for window in windows), key=_TRUST.index),
        rate_per_s=_divide(_add_known(windows, _count_net), watched_s, "arrivals"),
        finished_requests=max(0.0 if sums is None else sums.requests for sums in (inputs, outputs)),
        input_tokens=_compute_mean(inputs),
        output_tokens=_compute_mean(outputs),
        cached_ratio=_divide(cached_tokens, prompt_tokens or 0.0, "cached tokens"),
        generated_tokens_per_s=_divide(
            _add_known(windows, lambda window: window.generated_tokens), watched_s, "generated tokens"
        ),
        iterations_per_s=_divide(_add_known(windows, lambda window: window.iterations), watched_s, "engine steps"),
        latencies={name: _describe(entry) for name, entry in latencies.items() if entry.count > 0},
        attained=tuple(
            Attained(
                entry.name, slo.quantity, _compute_attained(latencies.get(_HISTOGRAMS[slo.quantity]), slo.target_s)
            )
            for entry in served.service_classes
            for slo in entry.slos
        ),
    )


def _count_net(window: DemandWindow) -> float | None:
    return None if window.arrivals is None else window.arrivals - window.overcounted_arrivals


def _merge_latencies(windows: Iterable[DemandWindow]) -> dict[Histogram, HistogramReading]:
    merged: dict[Histogram, HistogramReading] = {}
    for window in windows:
        for name, entry in window.latencies.items():
            merged[name] = merge_histograms(merged[name], entry) if name in merged else entry
    return merged


def _merge_lengths(lengths: Iterable[LengthSums | None]) -> LengthSums | None:
    known = [sums for sums in lengths if sums is not None]
    return reduce(merge_length_sums, known) if known else None


def _compute_mean(sums: LengthSums | None) -> Observation:
    if sums is None or sums.requests <= 0:
        return Observation.absent(ReasonCode.FEW_SAMPLES, "no request finished")
    return Observation(sums.tokens / sums.requests)


def _describe(histogram: HistogramReading) -> LatencyFigures:
    quantiles = [compute_quantile(histogram, ratio) for ratio in (0.5, 0.9, 0.99)]
    return LatencyFigures(histogram.count, histogram.total / histogram.count, *quantiles)


def _compute_attained(histogram: HistogramReading | None, target_s: float) -> Observation:
    if histogram is None:
        return Observation.absent(ReasonCode.METRIC_MISSING, "the pages have no such histogram")
    return compute_attained_ratio(histogram, target_s)


def _add_known(windows: Iterable[DemandWindow], get: Callable[[DemandWindow], float | None]) -> float | None:
    values = [get(window) for window in windows]
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _divide(amount: float | None, by: float, what: str) -> Observation:
    if amount is None:
        return Observation.absent(ReasonCode.METRIC_MISSING, f"not every page tells {what}")
    if by <= 0.0:
        return Observation.absent(ReasonCode.NO_DATA, f"nothing to count {what} in")
    return Observation(max(amount, 0.0) / by)
