"""Counters become arrivals and token lengths; windows become a rate, a workload and a forecast. No plan, no price."""

from optimizer.demand.aggregate import Offered, aggregate_windows
from optimizer.demand.forecast import Forecast, Forecaster, RobustForecaster
from optimizer.demand.history import DemandHistory, RateMean, RateSample, compute_mean
from optimizer.demand.lengths import LengthHistory, LengthMemory, estimate_workload
from optimizer.demand.routing_evidence import find_routing
from optimizer.demand.shares import LoadShares, PodCount, PodLoad
from optimizer.demand.tracking import DemandNow, DemandState, track_demand

__all__ = [
    "DemandHistory",
    "DemandNow",
    "DemandState",
    "Forecast",
    "Forecaster",
    "LengthHistory",
    "LengthMemory",
    "LoadShares",
    "Offered",
    "PodCount",
    "PodLoad",
    "RateMean",
    "RateSample",
    "RobustForecaster",
    "aggregate_windows",
    "compute_mean",
    "estimate_workload",
    "find_routing",
    "track_demand",
]
