"""Limits as a plan meets them: what one variant may have, and no limit below what must stay. It solves nothing.

A limit may lie below what is there: it was lowered, a number was pinned beyond it, or replicas found no place. Then
nothing more of it is planned, and what must stay does not make a plan of the rest impossible.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from optimizer.domain import Limit, VariantKey
from optimizer.solver import ModelProblem, compute_use, is_in_scope

_ROUNDING = 1e-9
_TOLERANCE = 1e-6


def find_caps(limits: Iterable[Limit]) -> dict[VariantKey, int]:
    """Return the most replicas of each variant that has a known limit of its own."""
    caps: dict[VariantKey, int] = {}
    for limit in limits:
        counted = [key for key, use in limit.coefficients.items() if use > 0.0 and is_in_scope(limit, key)]
        if limit.amount is not None and len(counted) == 1:
            (key,) = counted
            most = max(math.floor(limit.amount / limit.coefficients[key] + _ROUNDING), 0)
            caps[key] = min(caps.get(key, most), most)
    return caps


def admit_minima(limits: tuple[Limit, ...], problems: tuple[ModelProblem, ...]) -> tuple[Limit, ...]:
    """Return `limits`, none below what the lower bounds of `problems` use of it."""
    minima = {line.key: line.min_replicas for problem in problems for line in problem.lines}
    return tuple(
        limit if limit.amount is None else replace(limit, amount=max(limit.amount, compute_use(limit, minima)))
        for limit in limits
    )


@dataclass(frozen=True, slots=True)
class BrokenLimit:
    """A limit that is exceeded, what is used of it, in its unit, and by whom."""

    limit: Limit
    use: float
    users: frozenset[VariantKey]


def find_broken(limits: Iterable[Limit], counts: Mapping[VariantKey, int]) -> tuple[BrokenLimit, ...]:
    """Return the limits that `counts`, of all LLMs together, exceed."""
    broken = []
    for limit in limits:
        use = compute_use(limit, counts)
        if limit.amount is not None and use > limit.amount + _TOLERANCE:
            users = frozenset(key for key, part in limit.coefficients.items() if part > 0.0 and counts.get(key, 0) > 0)
            broken.append(BrokenLimit(limit, use, users))
    return tuple(broken)
