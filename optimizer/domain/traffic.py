"""What was seen of the traffic lately, per variant and LLM: rates, lengths, latencies, for people. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from optimizer.domain.demand import DemandSource, DemandWindow
from optimizer.domain.model import ModelKey
from optimizer.domain.reading import Histogram
from optimizer.domain.reason import Observation
from optimizer.domain.service_class import LatencyQuantity
from optimizer.domain.snapshot import PodState
from optimizer.domain.variant import VariantKey


@dataclass(frozen=True, slots=True)
class LatencyFigures:
    """One latency over a stretch: how often it was observed, its exact mean [s], and quantiles to a bucket [s]."""

    count: float
    mean_s: float
    p50_s: Observation
    p90_s: Observation
    p99_s: Observation


@dataclass(frozen=True, slots=True)
class Attained:
    """Share of observations within the target of one promise [0-1], as far as histograms tell.

    TTFT and TTLT are observed once per request, ITL once per token. Requests of several classes are not told apart.
    """

    service_class: str
    quantity: LatencyQuantity
    ratio: Observation


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was seen between `start_s` and `end_s` [s].

    Attributes
    ----------
    source
        By which count the arrivals were found; the least trusted of the stretch.
    rate_per_s
        Requests offered [1/s].
    finished_requests
        Requests on whose end the lengths rest.
    input_tokens, output_tokens
        Mean lengths.
    cached_ratio
        Share of prompt tokens found in the prefix cache [0-1].
    generated_tokens_per_s, iterations_per_s
        Output of the engines, and their steps that returned output [1/s].
    latencies
        TTFT, ITL, TTLT, queue time: those that were observed.
    attained
        Against each promise.
    """

    start_s: float
    end_s: float
    source: DemandSource
    rate_per_s: Observation
    finished_requests: float
    input_tokens: Observation
    output_tokens: Observation
    cached_ratio: Observation
    generated_tokens_per_s: Observation
    iterations_per_s: Observation
    latencies: Mapping[Histogram, LatencyFigures] = field(default_factory=dict)
    attained: tuple[Attained, ...] = ()


@dataclass(frozen=True, slots=True)
class VariantTraffic:
    """One variant: its traffic (None when nothing was seen) and its pods."""

    key: VariantKey
    traffic: Traffic | None
    pods: tuple[PodState, ...]


@dataclass(frozen=True, slots=True)
class ModelTraffic:
    """One LLM: the newest window, and everything seen over the last minute."""

    key: ModelKey
    newest: DemandWindow | None
    traffic: Traffic | None
    variants: tuple[VariantTraffic, ...]
