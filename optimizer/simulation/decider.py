"""What a scaler is in a simulated cluster: it sees what was scraped, never the truth, and names replicas.

Ours stands behind it as well as every peer, so that all of them read the same collector. No algorithm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from optimizer.domain import FleetSnapshot, ModelKey, PodReading, SignalSpec, VariantKey


@dataclass(frozen=True, slots=True)
class ScraperView:
    """What may be known at one moment.

    Attributes
    ----------
    now_s
        The moment [s].
    snapshot
        As the collector makes it of the pages: demand windows, pod states, signals.
    readings
        The newest page of every pod that has one, by LLM; each with the time it was taken.
    requested
        Replicas in ``scale.spec``, by variant.
    """

    now_s: float
    snapshot: FleetSnapshot
    requested: Mapping[VariantKey, int]
    readings: Mapping[ModelKey, tuple[PodReading, ...]] = field(default_factory=dict)


class Decider(Protocol):
    """One scaler with its memory; equal views in equal order give equal answers."""

    @property
    def period_s(self) -> float:
        """How often it is asked [s]."""
        ...

    @property
    def signals(self) -> Mapping[ModelKey, tuple[SignalSpec, ...]]:
        """Series it wants in the readings and in the snapshot, by LLM; {} where the usual ones do."""
        ...

    def step(self, view: ScraperView) -> Mapping[VariantKey, int]:
        """Return the replicas it asks for; a variant that is absent stays as it is."""
        ...
