"""With which replicas a policy begins: the same mix for all that change it, and one of each where they need it.

It knows policies by name and asks none that looks at anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from adapter.simulation.names import EACH_VARIANT, STATIC
from optimizer.domain import FleetSnapshot, VariantKey
from optimizer.simulation.cluster import Scenario
from optimizer.simulation.deciders import Decider, ScraperView


def open_fleet(policy: str, decider: Decider, scenario: Scenario) -> Scenario:
    """Return `scenario` as `policy` begins it, whose scaler is `decider`.

    Fleets that never change begin with what they ask for. Those that scale every variant by itself, and cannot or do
    not leave a variant at zero, begin with one replica of each at least; all others with the mix of the scenario.
    """
    if policy in STATIC:
        return _start_with(scenario, ask_once(decider))
    if policy not in EACH_VARIANT:
        return scenario
    least = {
        key: 0 if variant.max_replicas == 0 else max(scenario.plants[key].initial_replicas, 1)
        for key, variant in scenario.variants.items()
    }
    return _start_with(scenario, least)


def ask_once(static: Decider) -> Mapping[VariantKey, int]:
    """Return what a scaler that looks at nothing asks for."""
    return static.step(ScraperView(0.0, FleetSnapshot(0.0, ()), {}))


def _start_with(scenario: Scenario, replicas: Mapping[VariantKey, int]) -> Scenario:
    plants = {
        key: replace(plant, initial_replicas=replicas.get(key, plant.initial_replicas))
        for key, plant in scenario.plants.items()
    }
    return replace(scenario, plants=plants)
