"""What a fleet costs that knows the future: exact optimum, bounds and incumbents. It sees no trace and no simulator."""

from optimizer.solver.clairvoyant.incumbent import find_incumbent
from optimizer.solver.clairvoyant.missing import MissBound, compute_miss_bound
from optimizer.solver.clairvoyant.optimum import ClairvoyantOptimum, solve_clairvoyant
from optimizer.solver.clairvoyant.price_paths import PriceBound, SharedCap, compute_price_bound, join_problems
from optimizer.solver.clairvoyant.problem import (
    ClairvoyantProblem,
    ClairvoyantVariant,
    ReplicaCap,
    compute_path_cost,
    is_path_feasible,
)
from optimizer.solver.clairvoyant.states import count_states
from optimizer.solver.clairvoyant.time_expanded import LinearAnswer, solve_time_expanded

__all__ = [
    "ClairvoyantOptimum",
    "ClairvoyantProblem",
    "ClairvoyantVariant",
    "LinearAnswer",
    "MissBound",
    "PriceBound",
    "ReplicaCap",
    "SharedCap",
    "compute_miss_bound",
    "compute_path_cost",
    "compute_price_bound",
    "count_states",
    "find_incumbent",
    "is_path_feasible",
    "join_problems",
    "solve_clairvoyant",
    "solve_time_expanded",
]
