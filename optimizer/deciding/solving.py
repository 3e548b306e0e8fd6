"""Solving with memory: equal questions have equal answers, and steady demand asks the same for minutes. No new program.

LLMs that no known limit joins are asked about one by one, so that one whose need moved does not make the others be
solved again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from optimizer.domain import DecisionSettings, Limit, Plan, Settings
from optimizer.solver import ModelProblem, solve_fleet


def solve_remembered(problems: tuple[ModelProblem, ...], settings: Settings) -> tuple[Plan, ...]:
    """Return what `solve_fleet` does: one plan per problem, in their order."""
    owners = {line.key: index for index, problem in enumerate(problems) for line in problem.lines}
    concerned = [sorted({owners[key] for key in limit.coefficients if key in owners}) for limit in settings.limits]
    binding: list[set[int]] = [set() for _ in problems]
    for place, indices in enumerate(concerned):
        for index in indices:
            binding[index].add(place)
    known = [indices for limit, indices in zip(settings.limits, concerned, strict=True) if limit.amount is not None]
    plans: dict[int, Plan] = {}
    for group in _group(len(problems), known):
        members = tuple(problems[index] for index in group)
        places = sorted(set().union(*(binding[index] for index in group)))
        limits = tuple(settings.limits[place] for place in places)
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


def _group(count: int, joined: Iterable[Sequence[int]]) -> list[list[int]]:
    """Return the numbers below `count`, together where a chain of `joined` sets joins them."""
    leader = list(range(count))

    def find(index: int) -> int:
        while leader[index] != index:
            leader[index] = index = leader[leader[index]]
        return index

    for indices in joined:
        for index in indices[1:]:
            leader[find(index)] = find(indices[0])
    groups: dict[int, list[int]] = {}
    for index in range(count):
        groups.setdefault(find(index), []).append(index)
    return list(groups.values())
