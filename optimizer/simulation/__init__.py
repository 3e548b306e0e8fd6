"""Seeded token-level engines and the loops around them, event by event. No I/O, no real time."""

from optimizer.simulation.counts import EngineCounters, HistogramCounts, HistogramEdges, compute_length_edges_tokens
from optimizer.simulation.engine import TokenEngine
from optimizer.simulation.limits import EngineLimits
from optimizer.simulation.request import EndedRequest, EngineEvent, EngineRequest, EventKind, RequestOutcome
from optimizer.simulation.step_time import NoisyStepTime, StepTime, make_step_time

__all__ = [
    "EndedRequest",
    "EngineCounters",
    "EngineEvent",
    "EngineLimits",
    "EngineRequest",
    "EventKind",
    "HistogramCounts",
    "HistogramEdges",
    "NoisyStepTime",
    "RequestOutcome",
    "StepTime",
    "TokenEngine",
    "compute_length_edges_tokens",
    "make_step_time",
]
