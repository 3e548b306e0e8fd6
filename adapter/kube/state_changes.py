"""What of the memory of one LLM must be kept at once, and what can wait. It keeps nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from optimizer import State
from optimizer.domain import ModelKey

CALM_DIFFERS_RATIO = 0.1
"""The extremes of a calm window that moved by less than this share are as good as the old ones: noise moves them."""


@dataclass(frozen=True, slots=True)
class Gist:
    """What matters of the memory of one LLM.

    Attributes
    ----------
    planned
        Replicas that were published, by variant and role.
    begun_s, switch_since_s
        Since when its calm window is whole, and another mix is worth switching to [s].
    extremes
        The largest needs, and the smallest capacities, of the calm window.
    """

    planned: Mapping[str, int]
    begun_s: float | None
    switch_since_s: float | None
    extremes: Mapping[str, float]


def summarize(state: State, key: ModelKey) -> Gist:
    """Return the gist of the memory of `key`, which `state` has."""
    model = state.models[key]
    lines = () if model.decision is None else model.decision.variants
    calm, extremes = model.stabilization, dict[str, float]()
    for past in calm.bins:
        for cell in past.cells:
            name = f"need {cell.lead_time_s:g} {cell.service_class} {cell.bucket}"
            extremes[name] = max(cell.rate_per_s, extremes.get(name, cell.rate_per_s))
        for label, capacity_per_s in past.capacities_per_s.items():
            name = f"capacity {label}"
            extremes[name] = min(capacity_per_s, extremes.get(name, capacity_per_s))
        for label, count in past.replicas.items():
            name = f"replicas {label}"
            extremes[name] = max(float(count), extremes.get(name, 0.0))
    planned = {f"{line.key.variant}/{line.key.role.value}": line.planned_replicas for line in lines}
    return Gist(planned, calm.begun_s, calm.switch_since_s, extremes)


def has_calm_changed(before: Gist, after: Gist) -> bool:
    """Whether a plan made with one calm window could differ from a plan made with the other."""
    if (before.begun_s, before.switch_since_s) != (after.begun_s, after.switch_since_s):
        return True
    if before.extremes.keys() != after.extremes.keys():
        return True
    return any(
        abs(value - before.extremes[name]) > CALM_DIFFERS_RATIO * max(abs(value), abs(before.extremes[name]))
        for name, value in after.extremes.items()
    )
