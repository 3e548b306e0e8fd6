"""What a trace costs at least on a fleet, for the judge of all policies. It runs no policy and no engine."""

from optimizer.simulation.bounds.asked import AskedRequests
from optimizer.simulation.bounds.case import (
    BoundCase,
    BoundVariant,
    DemandRows,
    make_mean_problem,
    make_step_problem,
    make_stretch_problem,
)
from optimizer.simulation.bounds.from_scenario import get_rhythm, make_bound_cases, measure_works, to_asked
from optimizer.simulation.bounds.frontier import FrontierOptions, measure_ceiling
from optimizer.simulation.bounds.ladder import LadderOptions, compute_ladder
from optimizer.simulation.bounds.run_ladder import compute_run_ladder
from optimizer.simulation.bounds.rungs import Ladder, Rung, RungKind, add_up_ladders
from optimizer.simulation.bounds.shared_quota import make_priced_rung, make_shared_rung
from optimizer.simulation.bounds.speed import fit_law_below, make_replica_work
from optimizer.simulation.bounds.verdict import ModelLadder, RunLadder
from optimizer.simulation.bounds.work import ReplicaWork, make_rate_work

__all__ = [
    "AskedRequests",
    "BoundCase",
    "BoundVariant",
    "DemandRows",
    "FrontierOptions",
    "Ladder",
    "LadderOptions",
    "ModelLadder",
    "ReplicaWork",
    "RunLadder",
    "Rung",
    "RungKind",
    "add_up_ladders",
    "compute_ladder",
    "compute_run_ladder",
    "fit_law_below",
    "get_rhythm",
    "make_bound_cases",
    "make_mean_problem",
    "make_priced_rung",
    "make_rate_work",
    "make_replica_work",
    "make_shared_rung",
    "make_step_problem",
    "make_stretch_problem",
    "measure_ceiling",
    "measure_works",
    "to_asked",
]
