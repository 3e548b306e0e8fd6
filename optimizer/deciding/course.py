"""A course: what one LLM is to come to, from the wish to the plan. Data only."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.deciding.proposing import Wish
from optimizer.domain import Plan, Reason, SolveStatus
from optimizer.policy import FixedReplicas
from optimizer.solver import ModelProblem


@dataclass(frozen=True, slots=True)
class Course:
    """What one LLM is to come to.

    Attributes
    ----------
    wish
        What was wanted.
    problem
        What the solver was asked.
    plan
        Its answer.
    kept_reason
        Why a cheaper plan was not taken on second thoughts; None when there was none.
    switch_since_s
        Since when another composition would have been worth switching to [s], None when none is.
    """

    wish: Wish
    problem: ModelProblem
    plan: Plan
    kept_reason: Reason | None = None
    switch_since_s: float | None = None

    @property
    def is_planned(self) -> bool:
        """Whether there is a plan to follow rather than a number to hold."""
        return self.wish.hold is None and self.plan.status is not SolveStatus.FAILED

    @property
    def is_fixed(self) -> bool:
        """Whether counts were proposed rather than capacity."""
        return isinstance(self.wish.proposal, FixedReplicas)
