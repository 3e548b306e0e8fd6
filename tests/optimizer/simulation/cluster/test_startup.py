"""How long starts take: the quantiles that were asked for, whatever a scaler does."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from optimizer.errors import InvalidInput
from optimizer.simulation.cluster import ClusterOptions, Plant, StartOptions, StartupTime, simulate
from tests.builders.simulated_clusters import KEY, LAW, LIMITS, Scripted, make_requests, make_scenario, make_static


def test_median_and_p95_are_met_exactly() -> None:
    startup = StartupTime(100.0, 240.0)
    assert startup.compute_quantile_s(0.5) == pytest.approx(100.0, rel=1e-12)
    assert startup.compute_quantile_s(0.95) == pytest.approx(240.0, rel=1e-12)
    assert StartupTime(100.0).compute_quantile_s(0.99) == 100.0


def test_quantiles_are_those_of_a_lognormal() -> None:
    startup, normal = StartupTime(100.0, 240.0), NormalDist()
    sigma = math.log(2.4) / normal.inv_cdf(0.95)
    for share in (0.01, 0.1, 0.25, 0.333, 0.75, 0.9, 0.99):
        exact_s = 100.0 * math.exp(sigma * normal.inv_cdf(share))
        assert startup.compute_quantile_s(share) == pytest.approx(exact_s, rel=2e-4)
    shares = np.linspace(0.0, 1.0, 5001)
    times_s = [startup.compute_quantile_s(float(share)) for share in shares]
    assert times_s == sorted(times_s)
    assert times_s[0] > 0.0


def test_bounds_are_checked() -> None:
    with pytest.raises(InvalidInput, match="p95_s"):
        StartupTime(100.0, 50.0)
    with pytest.raises(InvalidInput, match="median_s"):
        StartupTime(math.inf)


def measure_startups_s(script: Scripted, count: int, seed: int = 0) -> list[float]:
    """Return how long each start took, in order of creation; the replicas are made one by one."""
    plant = Plant(LAW, LIMITS, startup=StartupTime(100.0, 240.0))
    scenario = make_scenario(make_requests(0.01, 40_000.0), 40_000.0, initial=0, plant=plant)
    result = simulate(scenario, script, seed=seed)
    ready = result.variants[KEY].replicas.ready
    starts = result.variants[KEY].replicas.requested
    risen = [time_ns for time_ns, value in zip(ready.time_ns, ready.value, strict=True) if value]
    asked = [time_ns for time_ns, value in zip(starts.time_ns, starts.value, strict=True) if value]
    return [(up - begin) / 1e9 for up, begin in zip(risen, asked, strict=True)][:count]


def test_the_same_replica_starts_equally_long_whatever_happened_before() -> None:
    slow = Scripted([(step * 4000.0, {KEY: (step + 1) % 2}) for step in range(10)])
    fast = Scripted([(step * 2000.0, {KEY: (step + 1) % 2}) for step in range(20)])
    first = measure_startups_s(slow, 4)
    assert first == pytest.approx(measure_startups_s(fast, 4), abs=1e-9)
    assert len(set(first)) == 4
    assert first != measure_startups_s(slow, 4, seed=1)


def test_starts_of_a_large_fleet_have_the_median_and_p95_that_were_asked_for() -> None:
    count = 1000
    plant = Plant(LAW, LIMITS, startup=StartupTime(100.0, 240.0))
    scenario = make_scenario(make_requests(0.01, 1000.0), 1000.0, initial=0, plant=plant)
    ready = simulate(scenario, make_static(count)).variants[KEY].replicas.ready
    seen = [(ready.get(round((1.0 + time_s) * 1e9))) / count for time_s in (100.0, 240.0)]
    assert seen[0] == pytest.approx(0.5, abs=4 * math.sqrt(0.25 / count))
    assert seen[1] == pytest.approx(0.95, abs=4 * math.sqrt(0.0475 / count))


def test_an_image_is_pulled_once_a_node() -> None:
    options = ClusterOptions(start=StartOptions(image_pull_s=60.0, devices_per_node=2))
    script = Scripted([(0.0, {KEY: 1}), (30.0, {KEY: 2}), (300.0, {KEY: 3}), (450.0, {KEY: 4})])
    scenario = make_scenario(make_requests(0.01, 1000.0), 1000.0, initial=0)
    ready = simulate(scenario, script, options).variants[KEY].replicas.ready
    # Nothing is waited for beside what is there at the start.
    beside = simulate(make_scenario(make_requests(0.01, 400.0), 400.0, initial=1), make_static(2), options)
    assert beside.variants[KEY].replicas.ready.time_ns[-1] == 101 * 10**9
    # The second waits for the pull of the first, the third has a node of its own, the fourth finds the image there.
    assert [(time_ns / 1e9, value) for time_ns, value in zip(ready.time_ns, ready.value, strict=True)] == [
        (0.0, 0),
        (161.0, 2),
        (301.0 + 160.0, 3),
        (451.0 + 100.0, 4),
    ]


def test_a_node_that_has_to_come_is_waited_for_and_stays_a_while() -> None:
    options = ClusterOptions(start=StartOptions(node_provision_s=60.0, image_pull_s=5.0, node_idle_s=300.0))
    script = Scripted([(0.0, {KEY: 1}), (300.0, {KEY: 0}), (420.0, {KEY: 1}), (600.0, {KEY: 0}), (1200.0, {KEY: 1})])
    scenario = make_scenario(make_requests(0.01, 1500.0), 1500.0, initial=0)
    ready = simulate(scenario, script, options).variants[KEY].replicas.ready
    risen = [time_ns / 1e9 for time_ns, value in zip(ready.time_ns, ready.value, strict=True) if value]
    assert risen == [1.0 + 165.0, 421.0 + 100.0, 1201.0 + 165.0]


def test_starts_that_fail_back_off_and_try_again() -> None:
    options = ClusterOptions(start=StartOptions(failure_ratio=0.5, backoff_s=10.0, longest_backoff_s=15.0))
    scenario = make_scenario(make_requests(0.01, 4000.0), 4000.0, initial=0)
    figures = simulate(scenario, make_static(200), options).variants[KEY]
    assert figures.failed_starts == pytest.approx(200, abs=4 * math.sqrt(400))  # geometric: one failure each on average
    times_s = {time_ns / 1e9 for time_ns in figures.replicas.ready.time_ns} - {0.0}
    attempts_s = [101.0]
    for failures in range(1, 60):
        attempts_s.append(attempts_s[-1] + min(10.0 * 2 ** (failures - 1), 15.0) + 100.0)
    assert times_s <= set(attempts_s)
    assert len(times_s) > 4
