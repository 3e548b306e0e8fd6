"""Solving with memory: equal questions have equal answers, and steady demand asks the same for minutes. No new program.

LLMs that no known limit joins are asked about one by one, so that one whose need moved does not make the others be
solved again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from optimizer.domain import DecisionSettings, Limit, Plan, Settings
from optimizer.solver import ModelProblem, solve_fleet


def solve_remembered(problems: tuple[ModelProblem, ...], settings: Settings) -> tuple[Plan, ...]:
    """Return what `solve_fleet` does: one plan per problem, in their order."""
    plans: dict[int, Plan] = {}
    for group in _group(problems, settings.limits):
        members = tuple(problems[index] for index in group)
        limits = tuple(limit for limit in settings.limits if any(_concerns(limit, member) for member in members))
        answers = _answer(_Question(members, limits, settings.decision))
        plans |= dict(zip(group, answers, strict=True))
    return tuple(plans[index] for index in range(len(problems)))


@dataclass(frozen=True, slots=True)
class _Question:
    problems: tuple[ModelProblem, ...]
    limits: tuple[Limit, ...]
    decision: DecisionSettings

    def __hash__(self) -> int:
        """Mappings cannot be hashed; what is left out here is still compared."""
        return hash((tuple((entry.key, entry.lines, entry.need) for entry in self.problems), self.decision))


@lru_cache(maxsize=1024)
def _answer(question: _Question) -> tuple[Plan, ...]:
    return solve_fleet(question.problems, question.limits, question.decision)


def _concerns(limit: Limit, problem: ModelProblem) -> bool:
    return any(line.key in limit.coefficients for line in problem.lines)


def _group(problems: tuple[ModelProblem, ...], limits: tuple[Limit, ...]) -> list[list[int]]:
    """Return the places of `problems`, together where a chain of known limits joins them."""
    groups = [{index} for index in range(len(problems))]
    for limit in limits:
        if limit.amount is None:
            continue
        joined = {index for index, problem in enumerate(problems) if _concerns(limit, problem)}
        touching = [group for group in groups if group & joined]
        if len(touching) > 1:
            groups = [group for group in groups if not group & joined] + [set().union(*touching)]
    return [sorted(group) for group in groups]
