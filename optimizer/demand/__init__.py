"""Counters become arrivals and token lengths; windows become a rate, a workload and a forecast. No plan, no price."""

from optimizer.demand.aggregate import Offered, aggregate_windows
from optimizer.demand.forecast import Forecast, Forecaster, RobustForecaster
from optimizer.demand.histogram import compute_attained_ratio, compute_quantile, merge_histograms
from optimizer.demand.history import DemandHistory, RateMean, RateSample, compute_mean
from optimizer.demand.length_sums import compute_length_sums, estimate_lengths, merge_length_sums
from optimizer.demand.lengths import LengthHistory, LengthMemory, estimate_workload
from optimizer.demand.merging import merge_windows
from optimizer.demand.routing_evidence import find_routing
from optimizer.demand.shares import LoadShares, PodCount, PodLoad
from optimizer.demand.signals import SeriesSample, SignalHistory, compute_signals, track_signals
from optimizer.demand.tracking import DemandNow, DemandState, track_demand
from optimizer.demand.traffic import TrafficHistory, track_traffic
from optimizer.demand.window import choose_baseline, compute_window, empty_reading

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
    "SeriesSample",
    "SignalHistory",
    "TrafficHistory",
    "aggregate_windows",
    "choose_baseline",
    "compute_attained_ratio",
    "compute_length_sums",
    "compute_mean",
    "compute_quantile",
    "compute_signals",
    "compute_window",
    "empty_reading",
    "estimate_lengths",
    "estimate_workload",
    "find_routing",
    "merge_histograms",
    "merge_length_sums",
    "merge_windows",
    "track_demand",
    "track_signals",
    "track_traffic",
]
