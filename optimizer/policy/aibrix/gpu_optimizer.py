"""AIBrix: one loop of its optimizer over accelerators: trace, window, clusters, rate, least-cost mix, gauge.

    rate = max(points / span, arrivals / interval);    gauge = 100 * replicas under load, whole replicas otherwise

The window is the oldest of four clusterings, a new one begins every 60 s: it sees 180 to 240 s. Empty window: every
Deployment takes its minimum; points but no cluster, or no proven mix: the old numbers stay.

Quirks kept: a span with one time stamp is one second, so that the first loop reads ten times the rate, and so does a
minute long after the traffic has stopped; the span of k loops is that of k - 1; fewer than ten similar requests change
nothing; noise is spread over the clusters found; a Deployment without profile is driven to zero; hundredths under load
and whole replicas otherwise come from one gauge (`is_hundredths` tells here which).

Source: AIBrix e3e10f9e (head, 2026-08-22), optimizer loop.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from optimizer.policy.aibrix.clustering import RequestCluster, cluster_requests
from optimizer.policy.aibrix.mix_program import LoadCell, solve_mix
from optimizer.policy.aibrix.request_trace import TraceDocument

HUNDREDTHS = 100.0
WINDOWS, WINDOW_STEP_S = 4, 60.0
_LONE_SPAN_S = 1.0


class CapacityProfile(Protocol):
    """A profile that the mix is made of: a measured one, or one from a performance model."""

    @property
    def cost(self) -> float:
        """Price of one replica, in any unit per time."""
        ...

    def find_cell(self, output_tokens: float, input_tokens: float) -> tuple[int, int]:
        """Return row and column of the lengths [tokens]; the same of every profile of an LLM."""
        ...

    def get_capacity_per_s(self, row: int, column: int) -> float:
        """Return what one replica carries of a cell [1/s]; 0 when the cell cannot be served."""
        ...


@dataclass(frozen=True, slots=True)
class OptimizedDeployment:
    """A Deployment: the replicas it was found with, and the label that says what an idle one keeps."""

    name: str
    spec_replicas: int
    min_replicas: int = 0


@dataclass(frozen=True, slots=True)
class OptimizerState:
    """What is remembered of one LLM.

    Attributes
    ----------
    start_s
        Time of the first loop [s]; None before it.
    points
        Completed requests by (log2 input, log2 output), by the time of their document [s], oldest first.
    gauge
        What is published, by name of the Deployment.
    is_hundredths
        Whether that is in hundredths of a replica.
    """

    start_s: float | None = None
    points: tuple[tuple[float, Mapping[tuple[float, float], float]], ...] = ()
    gauge: Mapping[str, int] = field(default_factory=dict)
    is_hundredths: bool = False

    @classmethod
    def start(cls, deployments: Sequence[OptimizedDeployment]) -> OptimizerState:
        """Return the state before the first loop: the gauge is what is found."""
        return cls(gauge={entry.name: entry.spec_replicas for entry in deployments})

    def get_replicas(self, name: str) -> int:
        """Return the gauge of `name` in whole replicas."""
        value = self.gauge.get(name, 0)
        return math.ceil(value / HUNDREDTHS) if self.is_hundredths else value


def step_optimizer(
    state: OptimizerState,
    document: TraceDocument | None,
    time_s: float,
    profiles: Mapping[str, CapacityProfile],
    deployments: Sequence[OptimizedDeployment],
    *,
    covered_s: float | None = None,
) -> OptimizerState:
    """Return the state, with the gauge to publish, after the loop at `time_s` [s].

    Parameters
    ----------
    state
        After the loop before.
    document
        What was written since, None when nothing was.
    time_s
        Time of the loop [s].
    profiles
        Of every Deployment that has one, by name, all on one grid.
    deployments
        What is published for.
    covered_s
        How long the points of the window took to come [s], where that is known; None for the peer's span.
    """
    start_s = time_s if state.start_s is None else state.start_s
    begin_s = find_window_begin_s(start_s, time_s)
    points = [entry for entry in state.points if entry[0] >= begin_s]
    if document is not None and document.records:
        points.append((time_s, to_points(document)))
    state = replace(state, start_s=start_s, points=tuple(points))
    if not points:
        idle = {entry.name: entry.min_replicas for entry in deployments}
        return replace(state, gauge=idle, is_hundredths=False)
    merged = _merge(points)
    clusters = cluster_requests(merged)
    if not clusters or not profiles:
        return state
    span_s = covered_s or points[-1][0] - points[0][0] or _LONE_SPAN_S
    rate_per_s = max(sum(merged.values()) / span_s, 0.0 if document is None else document.rate_per_s)
    mix = solve_mix(_to_cells(clusters, rate_per_s, profiles), {name: entry.cost for name, entry in profiles.items()})
    if mix is None:
        return state
    return replace(state, gauge={entry.name: mix.get(entry.name, 0) for entry in deployments}, is_hundredths=True)


def find_window_begin_s(start_s: float, time_s: float) -> float:
    """Return when the oldest clustering in use began [s], in a loop at `time_s` that first ran at `start_s` [s]."""
    return start_s + WINDOW_STEP_S * max(math.floor((time_s - start_s) / WINDOW_STEP_S) - (WINDOWS - 1), 0)


def to_points(document: TraceDocument) -> dict[tuple[float, float], float]:
    """Return the completed requests of `document` by (log2 input, log2 output)."""
    points: dict[tuple[float, float], float] = {}
    for record in document.records:
        place = (record.log2_input_tokens, record.log2_output_tokens)
        points[place] = points.get(place, 0.0) + record.requests
    return points


def _merge(
    points: Sequence[tuple[float, Mapping[tuple[float, float], float]]],
) -> dict[tuple[float, float], float]:
    merged: dict[tuple[float, float], float] = {}
    for _, counts in points:
        for place, requests in counts.items():
            merged[place] = merged.get(place, 0.0) + requests
    return merged


def _to_cells(
    clusters: Sequence[RequestCluster], rate_per_s: float, profiles: Mapping[str, CapacityProfile]
) -> list[LoadCell]:
    """Return the load by cell in hundredths of a request per second; all of the rate goes to the clusters found."""
    grid = next(iter(profiles.values()))
    total = sum(cluster.requests for cluster in clusters)
    rates: dict[tuple[int, int], float] = {}
    for cluster in clusters:
        cell = grid.find_cell(math.exp2(cluster.log2_output_tokens), math.exp2(cluster.log2_input_tokens))
        rates[cell] = rates.get(cell, 0.0) + HUNDREDTHS * rate_per_s * cluster.requests / total
    return [
        LoadCell(rate, {name: entry.get_capacity_per_s(*cell) for name, entry in profiles.items()})
        for cell, rate in sorted(rates.items())
    ]
