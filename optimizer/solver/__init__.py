"""Needs, capacities and limits become a least-cost plan with bound and gap. No clock, no history."""

from optimizer.solver.counting import compute_use
from optimizer.solver.fleet import solve_fleet
from optimizer.solver.formulation import is_in_scope
from optimizer.solver.problem import ModelProblem, VariantLine

__all__ = ["ModelProblem", "VariantLine", "compute_use", "is_in_scope", "solve_fleet"]
