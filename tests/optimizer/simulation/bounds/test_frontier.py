"""What a replica really sustains, measured: between nothing and physics, and above what runs show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optimizer.domain import LatencyQuantity, ServiceClass, Slo
from optimizer.errors import InvalidInput
from optimizer.simulation.bounds import (
    FrontierOptions,
    LadderOptions,
    RungKind,
    compute_run_ladder,
    make_replica_work,
    measure_ceiling,
    measure_works,
    to_asked,
)
from optimizer.simulation.cluster import ClusterOptions, Requests, Scenario, simulate
from tests.builders import simulated_clusters as clusters

SHORT = FrontierOptions(duration_s=60.0, warm_s=15.0)


def make_scenario(rate_per_s: float, itl_s: float = 0.05, replicas: int = 1) -> Scenario:
    chance = np.random.default_rng(2)
    count = int(150.0 * rate_per_s)
    times_s = np.sort(chance.uniform(0.0, 150.0, count))
    requests = Requests.from_columns(times_s, chance.integers(1, 1500, count), chance.integers(1, 300, count))
    scenario = clusters.make_scenario(requests, 150.0, initial=replicas)
    chat = ServiceClass("chat", (Slo(LatencyQuantity.TTFT, 2.0), Slo(LatencyQuantity.ITL, itl_s)))
    return replace(scenario, models=(replace(scenario.models[0], service_classes=(chat,)),))


def test_a_tighter_promise_has_a_lower_ceiling() -> None:
    ceilings = []
    for itl_s in (0.02, 0.05):
        asked = to_asked(make_scenario(4.0, itl_s), 0)
        work = make_replica_work(clusters.LAW, clusters.LIMITS, asked)
        measured = measure_ceiling(clusters.LAW, clusters.LIMITS, asked, work, options=SHORT)
        # In requests a second of the mean: the work itself depends on the promise.
        ceilings.append(measured.ceiling_ratio / float(work.compute_whole_s(asked).mean()))
        assert 0.1 < measured.ceiling_ratio <= 1.0
        assert replace(measured, ceiling_ratio=1.0) == work
    assert ceilings[0] < ceilings[1]


def test_the_same_seed_measures_the_same() -> None:
    scenario = make_scenario(4.0)
    assert measure_works(scenario, options=SHORT, seed=3) == measure_works(scenario, options=SHORT, seed=3)


@pytest.mark.parametrize("rate_per_s, replicas", [(5.0, 1), (10.0, 1), (14.0, 2)])
def test_runs_near_the_edge_stay_above_the_bound_that_was_measured(rate_per_s: float, replicas: int) -> None:
    scenario = make_scenario(rate_per_s, replicas=replicas)
    decider = clusters.make_static(replicas)
    result = simulate(scenario, decider, ClusterOptions(), seed=1)
    options = LadderOptions(stretches_s=(150.0,), has_reference=False)
    physics = compute_run_ladder(scenario, result, decider, ClusterOptions(), options=options)
    works = measure_works(scenario, options=SHORT)
    both = compute_run_ladder(scenario, result, decider, ClusterOptions(), options=options, measured=works)
    found = both.total.measured
    assert found is not None
    assert found.name == "LBm(a)"
    assert 0.99 * physics.total.bound <= found.cost <= result.cost  # prices of a miss are tried on another grid
    assert "measured" in found.assumptions[0]
    assert [rung for rung in both.total.rungs if rung is not found] == list(physics.total.rungs)


def test_what_was_measured_convicts_nobody() -> None:
    scenario = make_scenario(10.0)
    decider = clusters.make_static(1)
    result = simulate(scenario, decider, ClusterOptions(), seed=1)
    options = LadderOptions(stretches_s=(150.0,), has_reference=False)
    idle = {key: replace(work, ceiling_ratio=1e-3) for key, work in measure_works(scenario, options=SHORT).items()}
    beside = compute_run_ladder(scenario, result, decider, ClusterOptions(), options=options, measured=idle)
    assert beside.total.measured is not None
    assert beside.total.measured.cost > result.cost
    assert beside.violations == ()
    instead = compute_run_ladder(scenario, result, decider, ClusterOptions(), options=options, works=idle)
    assert {rung.kind for rung in instead.total.rungs} == {RungKind.MEASURED}
    assert instead.total.bound == 0.0
    assert instead.total.bound_name == ""
    assert instead.violations == ()


def test_trials_that_cannot_be_are_refused() -> None:
    with pytest.raises(InvalidInput, match="warm_s"):
        FrontierOptions(duration_s=10.0, warm_s=10.0)
    with pytest.raises(InvalidInput, match="loads"):
        FrontierOptions(loads=())
