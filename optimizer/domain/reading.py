"""A PodReading: what one page of one pod says, engine-neutral and cumulative, with its own time. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True, order=True)
class PodKey:
    """Identity of a pod; `uid` differs when a pod of the same name is made again."""

    namespace: str
    name: str
    uid: str = ""


class Counter(StrEnum):
    """Cumulative counts, summed over the data-parallel ranks of the pod."""

    HTTP_REQUESTS = "http_requests"  # inference requests that ended with 2xx or 5xx, or whose client left
    HTTP_ARRIVALS = "http_arrivals"  # inference requests counted at arrival (SGLang)
    REJECTED = "rejected"  # refused by admission (503)
    FINISHED = "finished"  # generated sequences, all reasons
    HTTP_OK = "http_ok"  # inference requests that ended with 2xx
    PROMPT_TOKENS = "prompt_tokens"  # at the first token (vLLM) or at finish (SGLang)
    CACHED_TOKENS = "cached_tokens"  # of them, found in the prefix cache
    COMPUTED_TOKENS = "computed_tokens"  # prompt tokens really computed
    GENERATED_TOKENS = "generated_tokens"
    PREEMPTIONS = "preemptions"
    ITERATIONS = "iterations"  # engine steps that returned output


class Gauge(StrEnum):
    """State at the time of the page; requests are summed over ranks."""

    RUNNING_REQUESTS = "running_requests"
    WAITING_REQUESTS = "waiting_requests"
    KV_CACHE_RATIO = "kv_cache_ratio"  # maximum over ranks, 0-1
    KV_CAPACITY_TOKENS = "kv_capacity_tokens"  # summed over ranks
    AWAKE = "awake"  # 0 when any rank sleeps


class Histogram(StrEnum):
    """Cumulative histograms; times in seconds, lengths in tokens."""

    TTFT = "ttft"
    ITL = "itl"
    TTLT = "ttlt"
    QUEUE_TIME = "queue_time"
    INPUT_TOKENS = "input_tokens"
    OUTPUT_TOKENS = "output_tokens"
    SEQUENCES = "sequences"  # generated sequences per request (n)


@dataclass(frozen=True, slots=True)
class HistogramReading:
    """A cumulative histogram, summed over ranks whose edges agree.

    Attributes
    ----------
    edges
        B finite upper edges, ascending.
    cumulative
        Observations at or below each edge, B entries.
    count
        All observations.
    total
        Sum of the observed values.
    """

    edges: tuple[float, ...]
    cumulative: tuple[float, ...]
    count: float
    total: float


@dataclass(frozen=True, slots=True)
class PodReading:
    """One page of one pod for one LLM. What the page does not show is not in the mappings.

    Attributes
    ----------
    pod
        Whose page it was.
    model_name
        As the engine calls the LLM.
    engine
        Name of the engine table that read it.
    time_s
        When the page was taken [s].
    start_s
        When the server process started [s], None when the page does not say.
    counters, gauges, histograms
        What was found.
    series
        Values of the series that a policy asked for, by the name of its `SignalSpec`: of a gauge its value, of a
        counter its cumulative count, of a histogram all of it. What the page does not show is not in it.
    ranks
        Data-parallel ranks seen.
    is_changed
        Whether anything on it differs from the page of the pod before: then its server lives. None when nobody
        compared.
    series_problems
        Why a series that was asked for and is on the page could not be read, by the name of its `SignalSpec`.
    """

    pod: PodKey
    model_name: str
    engine: str
    time_s: float
    start_s: float | None = None
    counters: Mapping[Counter, float] = field(default_factory=dict)
    gauges: Mapping[Gauge, float] = field(default_factory=dict)
    histograms: Mapping[Histogram, HistogramReading] = field(default_factory=dict)
    series: Mapping[str, float | HistogramReading] = field(default_factory=dict)
    ranks: int = 1
    is_changed: bool | None = None
    series_problems: Mapping[str, str] = field(default_factory=dict)
