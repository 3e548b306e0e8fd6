"""A bound lets replicas change when those of a run may: at syncs, at decisions, and from the same first moment on."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from optimizer.simulation.bounds import compute_run_ladder, get_rhythm
from optimizer.simulation.cluster import Actuation, ClusterOptions, HpaOptions, simulate
from optimizer.simulation.decider import Decider
from optimizer.simulation.deciders import make_hpa_queue, make_slo
from tests.builders.simulated_clusters import KEY, Scripted, make_requests, make_scenario

SCENARIO = make_scenario(make_requests(8.0, 300.0), 300.0, initial=2)
SET = HpaOptions(phase_s=7.0)
SCRIPT = [(15.0 * number, {KEY: (3, 6, 4)[number % 3]}) for number in range(20)]


def test_what_follows_a_number_changes_at_syncs() -> None:
    script, followed = Scripted(SCRIPT), ClusterOptions(actuation=Actuation.HPA)
    assert get_rhythm(script, replace(followed, hpa=SET), 4) == (15.0, 7.0)
    assert get_rhythm(make_slo(SCENARIO.to_settings()), ClusterOptions(hpa=SET), 4) == (15.0, 7.0)
    assert get_rhythm(script, ClusterOptions(hpa=SET), 4) == (15.0, 1.0)
    assert get_rhythm(script, followed, 4) != get_rhythm(script, followed, 5)


def test_an_autoscaler_changes_at_its_own_syncs() -> None:
    assert get_rhythm(make_hpa_queue(SCENARIO.models), ClusterOptions(hpa=SET), 4) == (15.0, 7.0)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["followed", "autoscaler"])
def test_every_change_of_a_run_is_at_a_moment_of_its_bound(kind: str, seed: int) -> None:
    decider: Decider = Scripted(SCRIPT) if kind == "followed" else make_hpa_queue(SCENARIO.models)
    options = ClusterOptions(actuation=Actuation.HPA if kind == "followed" else None)
    scenario = SCENARIO if kind == "followed" else make_scenario(make_requests(40.0, 300.0), 300.0)
    result = simulate(scenario, decider, options, seed)
    period_s, phase_s = get_rhythm(decider, options, seed)
    changed_s = [time_s for time_s, _ in result.list_replica_steps(KEY)[1:]]
    assert len(changed_s) > 1
    assert all(math.remainder(time_s - phase_s, period_s) == pytest.approx(0.0, abs=1e-6) for time_s in changed_s)
    assert not compute_run_ladder(scenario, result, decider, options).violations
