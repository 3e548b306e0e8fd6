"""Room under limits on the way to a plan: surplus not yet released may leave none for what is to be started.

A plan keeps every limit; what is published between two plans may not, because ups go first. Ups that do not fit are
held back until the surplus is released, dearest first; and where a limit was lowered under what exists, surplus goes at
once: a limit binds whatever the need. It plans nothing.

Source: "capacity never dips", rule 3.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from optimizer.domain import Hold, Limit, Reason, ReasonCode, VariantKey
from optimizer.stabilization.sequencing import Standing, Step


def fit_to_limits(
    standings: tuple[Standing, ...], steps: tuple[Step, ...], limits: tuple[Limit, ...]
) -> tuple[Step, ...]:
    """Return `steps` with ups held back, and if need be surplus released, until every known limit is kept.

    Parameters
    ----------
    standings, steps
        Of all LLMs together, in the same order.
    limits
        Rows that all keep; a limit of unknown amount does not bind.

    Returns
    -------
    tuple
        Steps in the same order. A limit that the targets themselves break stays broken: that is the plan's affair.
        Where a person's number uses a limit, nobody else's surplus goes for its sake before ready capacity covers that.
    """
    counts = {step.key: step.replicas for step in steps}
    holds = {step.key: step.hold for step in steps}
    ranked = sorted(standings, key=lambda entry: (-entry.keeping_cost, entry.key))
    rank = {entry.key: place for place, entry in enumerate(ranked)}
    for limit in limits:
        if limit.amount is None or _compute_use(limit, counts) <= limit.amount:
            continue
        by_cost = [ranked[place] for place in sorted(rank[key] for key in limit.coefficients if key in rank)]
        for entry in by_cost:
            floor = max(entry.published_replicas, 0)
            excess = _count_excess(limit, counts, entry)
            if excess > 0 and counts[entry.key] > floor:
                counts[entry.key] = max(counts[entry.key] - excess, floor)
                message = f"limit {limit.name} has no room before surplus is released"
                holds[entry.key] = Hold(Reason(ReasonCode.SURGE_BLOCKED, message))
        is_given = any(entry.is_given and limit.coefficients[entry.key] > 0.0 for entry in by_cost)
        for entry in () if is_given else by_cost:
            excess = _count_excess(limit, counts, entry)
            if excess > 0 and counts[entry.key] > entry.target_replicas:
                counts[entry.key] = max(counts[entry.key] - excess, entry.target_replicas)
                holds[entry.key] = None
    return tuple(Step(step.key, counts[step.key], holds[step.key]) for step in steps)


def _count_excess(limit: Limit, counts: Mapping[VariantKey, int], entry: Standing) -> int:
    """Return how many replicas of `entry` would have to go for `limit` to be kept, at most those there are."""
    coefficient = limit.coefficients.get(entry.key, 0.0)
    if limit.amount is None or coefficient <= 0.0:
        return 0
    excess = _compute_use(limit, counts) - limit.amount
    return math.ceil(excess / coefficient - 1e-9) if excess > 1e-9 * max(abs(limit.amount), 1.0) else 0


def _compute_use(limit: Limit, counts: Mapping[VariantKey, int]) -> float:
    return sum(use * counts.get(key, 0) for key, use in limit.coefficients.items())
