"""Switching: whether another composition is worth leaving the present one for. It compares costs; it solves nothing."""

from __future__ import annotations

from collections.abc import Mapping

from optimizer.domain import Plan, SolveStatus, VariantKey


def is_switch(plan: Plan, published: Mapping[VariantKey, int]) -> bool:
    """Whether `plan` starts replicas of one variant and gives up replicas of another."""
    changes = [entry.replicas - published.get(entry.key, 0) for entry in plan.allocations]
    return any(change > 0 for change in changes) and any(change < 0 for change in changes)


def is_worth_switching(switched: Plan, kept: Plan, min_saving_ratio: float) -> bool:
    """Whether `switched` is to be preferred to `kept`, which gives up nothing that is there.

    Parameters
    ----------
    switched
        The cheapest plan, which starts some and gives up others.
    kept
        The cheapest plan that only adds to what is published.
    min_saving_ratio
        Share of the cost that a switch must save [0-1]: near-equal plans must not alternate.
    """
    if kept.status in (SolveStatus.SHORTAGE, SolveStatus.FAILED):
        return True
    return kept.cost_per_hour - switched.cost_per_hour > min_saving_ratio * kept.cost_per_hour
