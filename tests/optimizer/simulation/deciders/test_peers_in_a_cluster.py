"""Saturation, AIBrix and Dynamo in a simulated cluster: load that rises and falls, pages every 15 s, late starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from optimizer.domain import Role
from optimizer.policy.aibrix import Strategy, Version
from optimizer.policy.dynamo import Aim, PlannerSettings
from optimizer.policy.saturation import SaturationVersion
from optimizer.simulation.cluster import Scenario, SimulationResult, simulate
from optimizer.simulation.decider import Decider
from optimizer.simulation.deciders.aibrix import make_aibrix
from optimizer.simulation.deciders.aibrix_optimizer import make_aibrix_optimizer
from optimizer.simulation.deciders.dynamo import make_dynamo
from optimizer.simulation.deciders.dynamo_pools import make_dynamo_pools
from optimizer.simulation.deciders.dynamo_settings import DynamoMode
from optimizer.simulation.deciders.saturation import SaturationShipped, make_saturation
from tests.builders.simulated_clusters import KEY, make_changing_requests, make_scenario, make_variant

MOST = 6
POOL = replace(make_variant(startup_s=30.0), max_replicas=MOST)
HORIZON_S = 390.0
RISE = make_changing_requests([(2.0, 60.0), (12.0, 300.0), (1.0, 30.0)])
ESTIMATES = PlannerSettings(aim=Aim.SLA, is_load_on=True, is_throughput_on=False)

PEERS: dict[str, Callable[[Scenario], Decider]] = {
    "saturation-v1": lambda scene: make_saturation(scene.models, scene.accelerators, SaturationVersion.V1),
    "saturation-v2": lambda scene: make_saturation(scene.models, scene.accelerators),
    "aibrix-kpa": lambda scene: make_aibrix(scene.models, Strategy.KPA),
    "aibrix-apa": lambda scene: make_aibrix(scene.models),
    "aibrix-apa-in-flight": lambda scene: make_aibrix(scene.models, targets={KEY: 40.0}),
    "aibrix-kpa-v0.4": lambda scene: make_aibrix(scene.models, Strategy.KPA, Version.OLD),
    "aibrix-apa-v0.4": lambda scene: make_aibrix(scene.models, Strategy.APA, Version.OLD),
    "aibrix-optimizer": lambda scene: make_aibrix_optimizer(scene.models, scene.accelerators),
    "dynamo-rate": lambda scene: make_dynamo(scene.models, DynamoMode.RATE),
    "dynamo-load": lambda scene: make_dynamo(scene.models),
    "dynamo-load-estimates": lambda scene: make_dynamo(scene.models, settings=ESTIMATES),
}


def run(name: str) -> SimulationResult:
    scenario = make_scenario(RISE, HORIZON_S, initial=1, variants=(POOL,))
    return simulate(scenario, PEERS[name](scenario))


@pytest.mark.parametrize("name", PEERS)
def test_everybody_is_served_by_more_replicas_within_the_bounds(name: str) -> None:
    result = run(name)
    counts = result.variants[KEY].replicas.requested.value
    assert result.failed == 0
    assert min(counts) >= 1
    assert 1 < max(counts) <= MOST


def test_a_run_is_the_same_twice() -> None:
    assert run("aibrix-optimizer").to_bytes() == run("aibrix-optimizer").to_bytes()


@pytest.mark.parametrize("mode", list(DynamoMode))
def test_a_pair_of_pools_is_planned(mode: DynamoMode) -> None:
    pair = tuple(
        replace(make_variant(role.value, startup_s=30.0, role=role), max_replicas=MOST)
        for role in (Role.PREFILL, Role.DECODE)
    )
    scenario = make_scenario(RISE, HORIZON_S, initial=1, variants=pair)
    result = simulate(scenario, make_dynamo_pools(scenario.models, mode))
    assert result.failed == 0
    for variant in pair:
        counts = result.variants[variant.key(variant.main_role)].replicas.requested.value
        assert min(counts) >= 1
        assert max(counts) <= MOST


def test_saturation_patches_what_an_autoscaler_cannot_wake() -> None:
    """An HPA does nothing for a workload at zero: without the patch all requests are held until they fail."""
    scenario = make_scenario(RISE, HORIZON_S, initial=0, variants=(POOL,), has_gateway=True)
    result = simulate(scenario, PEERS["saturation-v2"](scenario))
    counts = result.variants[KEY].replicas.requested.value
    assert result.failed == 0
    assert counts[0] == 0
    assert 1 < max(counts) <= MOST


def test_saturation_brings_the_autoscaler_that_follows_it() -> None:
    scenario = make_scenario(RISE, HORIZON_S, initial=1, variants=(POOL,))
    small = SaturationShipped(follower=replace(SaturationShipped().follower, max_replicas=2))
    result = simulate(scenario, make_saturation(scenario.models, scenario.accelerators, shipped=small))
    assert max(result.variants[KEY].replicas.requested.value) == 2
