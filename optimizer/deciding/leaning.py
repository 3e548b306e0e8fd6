"""Leaning: variants that are not worth mixing in are dearer to start, so that only what saves much starts them.

It forbids nothing: where bounds or limits ask for such a variant, or where it is there already, it serves.
"""

from __future__ import annotations

from dataclasses import replace

from optimizer.domain import Need, Routing
from optimizer.solver import VariantLine
from optimizer.stabilization import Offer, find_preferred

MIX_SAVING_RATIO = 0.08
"""A mix must save this share over the best variant alone, in the mean over needs around the present one.

Less than that is lost again in the starts and overlaps of a need that wanders.
"""
RELUCTANCE_RATIO = 0.5
"""Share of its price that is added to the start of a variant that is not preferred."""


def lean(lines: tuple[VariantLine, ...], need: Need, routing: Routing) -> tuple[VariantLine, ...]:
    """Return `lines` with starts of variants that a mix is not worth made dearer.

    Only where each replica serves in proportion to its capacity: with equal shares the slowest one bounds the others,
    and the solver already counts that against a mix.
    """
    if routing not in (Routing.WEIGHTED, Routing.BUCKETED):
        return lines
    offers = {line.key: Offer(line.capacity_per_s, line.cost_per_hour) for line in lines if line.max_replicas != 0}
    preferred = find_preferred(offers, need.peak_per_s, MIX_SAVING_RATIO)
    return tuple(line if line.key in preferred else _make_dearer(line) for line in lines)


def _make_dearer(line: VariantLine) -> VariantLine:
    return replace(line, start_cost_per_hour=line.start_cost_per_hour + RELUCTANCE_RATIO * line.cost_per_hour)
