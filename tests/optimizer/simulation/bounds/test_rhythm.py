"""A bound lets replicas change when those of a run may: at syncs, at decisions, and from the same first moment on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest

from optimizer.domain import VariantKey
from optimizer.simulation.bounds import RungKind, compute_run_ladder, get_rhythm
from optimizer.simulation.cluster import Actuation, ClusterOptions, HpaOptions, simulate
from optimizer.simulation.decider import Decider, ScraperView
from optimizer.simulation.deciders import make_hpa_queue, make_slo
from tests.builders.simulated_clusters import (
    KEY,
    Scripted,
    make_requests,
    make_scenario,
    make_static,
    make_variant,
)

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


@pytest.mark.parametrize("actuation", [Actuation.DIRECT, Actuation.HPA])
@pytest.mark.parametrize(("before", "after"), [(0, 1), (2, 1), (1, 3)])
@pytest.mark.parametrize("delay_s", [None, 4.0, 40.0])
def test_one_that_is_asked_once_changes_at_a_moment_of_its_bound(
    delay_s: float | None, before: int, after: int, actuation: Actuation
) -> None:
    variant = make_variant(startup_s=1.0)
    scenario = make_scenario(make_requests(6.0, 120.0), 120.0, initial=before, variants=(variant,), has_gateway=True)
    options, decider = ClusterOptions(actuation=actuation, decision_delay_s=delay_s), make_static(after)
    result = simulate(scenario, decider, options, seed=1)
    period_s, phase_s = get_rhythm(decider, options, 1)
    ((changed_s, _),) = result.list_replica_steps(KEY)[1:]
    assert math.remainder(changed_s - phase_s, period_s) == pytest.approx(0.0, abs=1e-6)
    ladder = compute_run_ladder(scenario, result, decider, options)
    assert ladder.violations == ()
    rungs = {rung.name: rung for rung in ladder.total.rungs}
    assert rungs["LB1"].is_bound
    assert rungs["LB1"].cost > 0.0


def test_one_that_is_asked_once_costs_what_its_bound_does_where_it_starts_just_then() -> None:
    scenario = make_scenario(
        make_requests(6.0, 120.0), 120.0, initial=0, variants=(make_variant(startup_s=0.0),), has_gateway=True
    )
    decider, options = make_static(1), ClusterOptions()
    result = simulate(scenario, decider, options, seed=1)
    assert result.attainment_ratio == 1.0
    ladder = compute_run_ladder(scenario, result, decider, options)
    assert ladder.total.bound_name == "LB1"
    assert result.cost == pytest.approx(ladder.total.bound) == pytest.approx(119.0 / 3600.0 * 3.0)


@dataclass
class Hastening(Scripted):
    """Is asked every 15 s at first, and every 7 s later."""

    def step(self, view: ScraperView) -> Mapping[VariantKey, int]:
        if view.now_s > 100.0:
            self.period_s = 7.0
        return super().step(view)


def test_who_changes_at_other_moments_has_no_bound_that_rests_on_them() -> None:
    decider, options = Hastening(SCRIPT), ClusterOptions()
    result = simulate(SCENARIO, decider, options, seed=1)
    period_s, phase_s = get_rhythm(decider, options, 1)
    changed_s = [time_s for time_s, _ in result.list_replica_steps(KEY)[1:]]
    assert any(abs(math.remainder(time_s - phase_s, period_s)) > 1.0 for time_s in changed_s)
    found = compute_run_ladder(SCENARIO, result, decider, options)
    rungs = {rung.name: rung for rung in found.total.rungs}
    assert not found.violations
    for name in ("LB0", "LB1"):
        assert rungs[name].kind is RungKind.REFERENCE
        assert not rungs[name].is_bound
    assert rungs["LBw"].is_bound
    steady = Scripted(SCRIPT)
    kept = compute_run_ladder(SCENARIO, simulate(SCENARIO, steady, options, seed=1), steady, options).total
    assert kept.get("LB1").is_bound  # type: ignore[union-attr]
