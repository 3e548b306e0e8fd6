"""What Kthena reads of the pods of a target: one sum, of requests or of quantiles. It recommends nothing.

Quirks are kept: the values of all pods are **added up**, also quantiles; a pod whose page cannot be had, that goes away
or ever restarted takes the report of its whole target along.

Source
------
Kthena's autoscaler at 3cc057284c34 (2026-08-21): of a histogram the P95 of what was gained since the newest snapshot
older than 60 s, snapshots being kept for 300 s; the first time the whole past counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from optimizer.domain import Histogram, HistogramReading, PodKey, PodPhase, PodReading, PodState
from optimizer.errors import InvalidInput
from optimizer.policy.kthena.histogram import Buckets, compute_gained_quantile
from optimizer.policy.kthena.windows import SnapshotWindow
from optimizer.simulation.decider import ScraperView
from optimizer.simulation.deciders.pools import Pool

QUANTILE_PERCENT = 95.0
SNAPSHOT_S, SNAPSHOT_KEPT_S = 60.0, 300.0


@dataclass(frozen=True, slots=True)
class QuantileTarget:
    """A histogram that is scaled by, and the value of its P95 per replica, in its own unit."""

    histogram: Histogram
    target: float


class PodReader:
    """Reads pods, and remembers of each whether it restarted and what its histogram was.

    Parameters
    ----------
    quantile
        What is read instead of requests, None for these.
    """

    def __init__(self, quantile: QuantileTarget | None) -> None:
        self._quantile = quantile
        self._starts_s: dict[PodKey, float] = {}
        self._restarted: set[PodKey] = set()
        self._snapshots: dict[PodKey, SnapshotWindow[Buckets]] = {}
        self._quantiles: dict[PodKey, float | None] = {}

    def watch(self, view: ScraperView) -> None:
        """Take the newest pages; pods that are gone are forgotten."""
        readings = [entry for readings in view.readings.values() for entry in readings]
        starts_s = {entry.pod: entry.start_s for entry in readings if entry.start_s is not None}
        for pod, start_s in starts_s.items():
            if start_s > self._starts_s.get(pod, start_s):
                self._restarted.add(pod)
        self._restarted &= starts_s.keys()
        self._starts_s = starts_s
        if self._quantile is not None:
            self._quantiles = {entry.pod: self._look(entry, self._quantile, view.now_s) for entry in readings}
            self._snapshots = {pod: kept for pod, kept in self._snapshots.items() if pod in self._quantiles}

    def report(self, pool: Pool, *, is_in_flight: bool) -> float | None:
        """Return the sum over the pods of a target; None when there are none, or one of them spoils it."""
        values = [self._read(pod, is_in_flight) for pod in pool.state.pods if pod.phase is not PodPhase.STARTING]
        known = [value for value in values if value is not None]
        return sum(known) if known and len(known) == len(values) else None

    def _read(self, pod: PodState, is_in_flight: bool) -> float | None:
        if pod.phase is not PodPhase.READY or pod.reason is not None or pod.pod in self._restarted:
            return None
        if self._quantile is not None:
            return self._quantiles.get(pod.pod)
        if pod.waiting_requests is None or (is_in_flight and pod.running_requests is None):
            return None
        return pod.waiting_requests + ((pod.running_requests or 0.0) if is_in_flight else 0.0)

    def _look(self, reading: PodReading, quantile: QuantileTarget, now_s: float) -> float | None:
        """Return the quantile of one pod, None when its page has no such histogram, or another one than before."""
        told = reading.histograms.get(quantile.histogram)
        if told is None:
            return None
        buckets = _to_buckets(told)
        window = self._snapshots.get(reading.pod) or SnapshotWindow[Buckets](SNAPSHOT_S, SNAPSHOT_KEPT_S)
        past = window.query(now_s)
        self._snapshots[reading.pod] = window.append(buckets, now_s)
        try:
            return compute_gained_quantile(buckets, past or (), QUANTILE_PERCENT)
        except InvalidInput:
            return None


def _to_buckets(told: HistogramReading) -> Buckets:
    return (*zip(told.edges, told.cumulative, strict=True), (inf, told.count))
