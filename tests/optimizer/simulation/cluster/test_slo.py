"""Ours in the simulated cluster: it follows a gentle ramp, and ends where a fleet of that load belongs."""

from __future__ import annotations

import numpy as np

from optimizer.simulation.cluster import Ending, simulate
from optimizer.simulation.deciders.slo import make_slo
from tests.builders.simulated_clusters import KEY, make_changing_requests, make_scenario


def test_ours_keeps_its_promise_on_a_gentle_ramp() -> None:
    stretches = [(4.0 + 0.4 * step, 30.0) for step in range(30)]
    scenario = make_scenario(make_changing_requests(stretches), 900.0, initial=2)
    result = simulate(scenario, make_slo(scenario.to_settings()))
    assert result.attainment_ratio >= 0.99
    assert result.endings[Ending.FINISHED] == len(scenario.requests)
    steps = [value for _, value in result.list_replica_steps(KEY)]
    assert steps[-1] >= 3


def test_ours_gives_back_what_is_not_needed_any_more() -> None:
    scenario = make_scenario(make_changing_requests([(20.0, 240.0), (2.0, 660.0)]), 900.0, initial=4)
    result = simulate(scenario, make_slo(scenario.to_settings()))
    assert result.list_replica_steps(KEY)[-1][1] < 4
    assert result.attainment_ratio >= 0.99
    assert np.isfinite(np.array(result.columns.ttlt_s)).all()
