"""Solves the needs of all LLMs together: least cost under bounds and shared limits. Knows no clock and no policy."""

from __future__ import annotations

from optimizer.domain import DecisionSettings, Limit, Plan
from optimizer.solver.problem import ModelProblem


def solve_fleet(
    problems: tuple[ModelProblem, ...], limits: tuple[Limit, ...], decision: DecisionSettings
) -> tuple[Plan, ...]:
    """Return one plan per problem, in their order."""
    raise NotImplementedError
