"""Needs, capacities and limits become a least-cost plan with bound and gap. No clock, no history."""

from optimizer.solver.fleet import solve_fleet
from optimizer.solver.problem import ModelProblem, VariantLine

__all__ = ["ModelProblem", "VariantLine", "solve_fleet"]
