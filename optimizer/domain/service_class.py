"""Service classes: requests of equal promise, and how they are told apart. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LatencyQuantity(StrEnum):
    """What a latency promise is about; see the glossary."""

    TTFT = "ttft"
    ITL = "itl"
    TTLT = "ttlt"


@dataclass(frozen=True, slots=True)
class Slo:
    """One promise: the `percentile` [0-100) of `quantity` stays at or below `target_s` [s]."""

    quantity: LatencyQuantity
    target_s: float
    percentile: float = 95.0


class ClassSourceKind(StrEnum):
    """By what the requests of a class are recognized."""

    ALL = "all"
    GATEWAY_LABEL = "gateway_label"
    ENGINE_PRIORITY = "engine_priority"
    DEPLOYMENT = "deployment"
    SHARE = "share_ratio"


@dataclass(frozen=True, slots=True)
class ClassSource:
    """How the requests of a class are told apart from the others of the same LLM.

    Attributes
    ----------
    kind
        The way they are recognized; ``all`` means the LLM has one class.
    value
        Label value, priority or deployment name; empty for ``all`` and ``share_ratio``.
    share_ratio
        Share of the LLM's requests [0-1], for ``share_ratio`` only.
    """

    kind: ClassSourceKind = ClassSourceKind.ALL
    value: str = ""
    share_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class ServiceClass:
    """Requests of equal promise.

    Attributes
    ----------
    name
        Unique name.
    slos
        Latency promises, at most one per quantity.
    output_tokens_per_s
        Least throughput per replica-independent class [tokens/s], None when not promised.
    priority
        Higher is served first in a shortage.
    source
        How its requests are recognized.
    """

    name: str
    slos: tuple[Slo, ...]
    output_tokens_per_s: float | None = None
    priority: int = 0
    source: ClassSource = ClassSource()

    def get_slo(self, quantity: LatencyQuantity) -> Slo | None:
        """Return the promise about `quantity`, None when there is none."""
        return next((slo for slo in self.slos if slo.quantity is quantity), None)
