"""What a scaler of a simulated cluster sees of one variant: pods with their newest figures, windows and readings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optimizer.domain import (
    FleetSnapshot,
    Histogram,
    HistogramReading,
    ModelSnapshot,
    PodPhase,
    PodState,
    Reason,
    ReasonCode,
    VariantState,
)
from optimizer.simulation.decider import ScraperView
from tests.builders.readings import make_reading
from tests.builders.snapshots import MODEL, make_key, make_pod_key, make_window


@dataclass(frozen=True)
class Told:
    """What the newest page of a ready pod said; `is_lost` when it could not be had."""

    running: float = 0.0
    waiting: float = 0.0
    kv_ratio: float = 0.0
    arrivals: float = 0.0
    histograms: Mapping[Histogram, HistogramReading] | None = None
    is_lost: bool = False


def make_scraper_view(
    now_s: float,
    pods: Sequence[Told],
    *,
    variant: str = "pool",
    requested: int | None = None,
    starting: int = 0,
) -> ScraperView:
    """Return a view of one variant with these ready pods; pages are as old as the moment."""
    names = [f"{variant}-{index}" for index in range(len(pods))]
    lost = Reason(ReasonCode.SCRAPE_FAILED, "no answer")
    states = [
        PodState(
            make_pod_key(name),
            PodPhase.READY,
            seen_s=now_s,
            running_requests=told.running,
            waiting_requests=told.waiting,
            kv_cache_ratio=told.kv_ratio,
            reason=lost if told.is_lost else None,
        )
        for name, told in zip(names, pods, strict=True)
    ]
    states += [PodState(make_pod_key(f"{variant}-s{index}"), PodPhase.STARTING) for index in range(starting)]
    windows = tuple(
        make_window(name, None if told.is_lost else told.arrivals, now_s - 15.0, now_s)
        for name, told in zip(names, pods, strict=True)
    )
    readings = tuple(
        make_reading(now_s, pod=make_pod_key(name), histograms=told.histograms)
        for name, told in zip(names, pods, strict=True)
        if not told.is_lost
    )
    count = len(states) if requested is None else requested
    key = make_key(variant)
    snapshot = ModelSnapshot(MODEL, (VariantState(key, count, tuple(states)),), windows)
    return ScraperView(now_s, FleetSnapshot(now_s, (snapshot,)), {key: count}, {MODEL: readings})
