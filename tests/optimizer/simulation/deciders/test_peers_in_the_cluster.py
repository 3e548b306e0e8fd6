"""Peers at the helm of a simulated cluster: they are asked as they ship, follow the load, and are repeatable."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from optimizer.domain import LengthDistribution, Workload
from optimizer.simulation.cluster import Ending, Scenario, SimulationResult, simulate
from optimizer.simulation.decider import Decider
from optimizer.simulation.deciders.hpa import make_hpa_kv, make_hpa_queue
from optimizer.simulation.deciders.keda import make_keda
from optimizer.simulation.deciders.knative import make_knative
from optimizer.simulation.deciders.ray_serve import make_ray_serve
from optimizer.simulation.deciders.sizing import compute_in_flight_requests
from optimizer.simulation.deciders.static import make_best_homogeneous, make_static_peak
from tests.builders.simulated_clusters import KEY, make_changing_requests, make_requests, make_scenario, make_variant

QUICK = make_variant(startup_s=5.0)
LENGTHS = LengthDistribution(1000.0, 1e6), LengthDistribution(200.0, 4e4)
MAKERS: dict[str, Callable[[Scenario], Decider]] = {
    "hpa_queue": lambda scenario: make_hpa_queue(scenario.models),
    "hpa_kv": lambda scenario: make_hpa_kv(scenario.models),
    "knative": lambda scenario: make_knative(
        scenario.models, compute_in_flight_requests(scenario.models[0], Workload(1.0, *LENGTHS))
    ),
    "ray_serve": lambda scenario: make_ray_serve(scenario.models),
    "keda": lambda scenario: make_keda(scenario.models),
}


def play(name: str, rate_per_s: float, horizon_s: float = 400.0) -> SimulationResult:
    scenario = make_scenario(make_requests(rate_per_s, horizon_s), horizon_s, initial=2, variants=(QUICK,))
    return simulate(scenario, MAKERS[name](scenario))


@pytest.mark.parametrize("name", MAKERS)
def test_thin_traffic_is_served_and_keeps_one_replica_at_least(name: str) -> None:
    result = play(name, 0.5)
    assert result.endings[Ending.FINISHED] == len(result.scenario.requests)
    assert min(replicas for _, replicas in result.list_replica_steps(KEY)) >= 1


@pytest.mark.parametrize("name", ["knative", "ray_serve", "keda"])
def test_four_times_the_load_ends_with_no_fewer_replicas(name: str) -> None:
    thin, thick = (play(name, rate_per_s).list_replica_steps(KEY)[-1][1] for rate_per_s in (2.0, 8.0))
    assert thin <= thick


@pytest.mark.parametrize("name", MAKERS)
def test_the_same_seed_gives_the_same_steps(name: str) -> None:
    first, second = play(name, 4.0, 200.0), play(name, 4.0, 200.0)
    assert first.decisions == second.decisions
    assert first.list_replica_steps(KEY) == second.list_replica_steps(KEY)


def test_a_queue_grows_the_fleet_that_follows_it() -> None:
    requests = make_changing_requests([(2.0, 60.0), (30.0, 120.0)])
    scenario = make_scenario(requests, 200.0, initial=1, variants=(QUICK,))
    steps = simulate(scenario, make_hpa_queue(scenario.models)).list_replica_steps(KEY)
    assert max(replicas for _, replicas in steps) > 1


def test_a_fleet_for_the_peak_keeps_the_promise_at_the_peak() -> None:
    scenario = make_scenario(make_requests(16.0, 300.0), 300.0, initial=3, variants=(QUICK,))
    peaks = {scenario.models[0].key: Workload(16.0, *LENGTHS)}
    for make in (make_static_peak, make_best_homogeneous):
        result = simulate(scenario, make(scenario.to_settings(), peaks))
        assert result.list_replica_steps(KEY)[-1][1] == 3  # 16 / (0.9 * 8.8) = 2.02
        assert result.attainment_ratio >= 0.99
