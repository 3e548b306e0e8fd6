"""A simulated cluster around token engines: replicas come and go, requests are routed, pages read, somebody scales."""

from optimizer.simulation.cluster.figures import (
    UnderCapacity,
    compute_attainment_by_time,
    compute_goodput_per_cost,
    compute_quantile_s,
    count_changes,
    count_reversals,
    find_recovery_s,
    find_under_capacity,
)
from optimizer.simulation.cluster.options import (
    FOLLOWING_HPA,
    Actuation,
    BucketGuide,
    ClusterOptions,
    HpaOptions,
    KvTransfer,
    Rhythm,
    RouterKind,
    ScrapeOptions,
    StartOptions,
)
from optimizer.simulation.cluster.result import (
    ClassFigures,
    DecisionChange,
    Ending,
    ReplicaSeries,
    RequestColumns,
    SimulationResult,
    StepSeries,
    VariantFigures,
)
from optimizer.simulation.cluster.scenario import Plant, Requests, Scenario, StepTimeFactory
from optimizer.simulation.cluster.simulate import simulate
from optimizer.simulation.cluster.startup import StartupTime

__all__ = [
    "FOLLOWING_HPA",
    "Actuation",
    "BucketGuide",
    "ClassFigures",
    "ClusterOptions",
    "DecisionChange",
    "Ending",
    "HpaOptions",
    "KvTransfer",
    "Plant",
    "ReplicaSeries",
    "RequestColumns",
    "Requests",
    "Rhythm",
    "RouterKind",
    "Scenario",
    "ScrapeOptions",
    "SimulationResult",
    "StartOptions",
    "StartupTime",
    "StepSeries",
    "StepTimeFactory",
    "UnderCapacity",
    "VariantFigures",
    "compute_attainment_by_time",
    "compute_goodput_per_cost",
    "compute_quantile_s",
    "count_changes",
    "count_reversals",
    "find_recovery_s",
    "find_under_capacity",
    "simulate",
]
