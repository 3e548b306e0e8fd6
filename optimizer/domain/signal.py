"""Signals: figures of a pod's page that a policy asks for by name, and what they were. Data, and what a name tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from optimizer.domain.reading import PodKey
from optimizer.domain.reason import Observation
from optimizer.domain.variant import VariantKey


class SignalKind(StrEnum):
    """What is made of a series."""

    GAUGE = "gauge"  # its present value
    RATE = "rate"  # its growth per second [1/s]
    QUANTILE = "quantile"  # of the observations that a histogram gained


_COUNTER_SUFFIXES = ("_total", "_count", "_sum", "_bucket")


def is_counter_name(series: str) -> bool:
    """Return whether the name of `series` says that it only counts up, as the formats of pages keep such names for."""
    return series.endswith(_COUNTER_SUFFIXES)


@dataclass(frozen=True, slots=True)
class SignalSpec:
    """What a policy wants to know of every pod.

    Attributes
    ----------
    name
        How the policy calls it; unique within one LLM.
    series
        Name of the series on the page, such as ``vllm:num_requests_waiting``; of a histogram without its suffix.
    kind
        What is made of it.
    labels
        Only series that carry all of these labels count; values of several are added, except where what is known of
        the series says otherwise: of the KV caches of data-parallel ranks the fullest counts.
    quantile_ratio
        Which quantile, 0 < q < 1, of kind ``quantile`` only.
    window_s
        Over how long a rate or quantile is taken [s].
    """

    name: str
    series: str
    kind: SignalKind = SignalKind.GAUGE
    labels: Mapping[str, str] = field(default_factory=dict)
    quantile_ratio: float | None = None
    window_s: float = 60.0


@dataclass(frozen=True, slots=True)
class PodSignals:
    """The signals of one pod at `time_s` [s]: a value, or why there is none, for every spec by name."""

    pod: PodKey
    variant: VariantKey
    time_s: float
    values: Mapping[str, Observation]
