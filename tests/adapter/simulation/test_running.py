"""Runs counted by hand, and what runs of a comparison share."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from adapter.errors import NotFound
from adapter.simulation.course import compute_course
from adapter.simulation.document import render_document
from adapter.simulation.figures import compute_figures
from adapter.simulation.names import POLICIES
from adapter.simulation.policies import make_decider
from adapter.simulation.run_options import RunOptions
from adapter.simulation.running import Stage, prepare_stage, run_policy
from adapter.simulation.table import render_bounds, render_table
from optimizer.domain import LatencyQuantity, Role
from optimizer.simulation.cluster import ScrapeOptions
from tests.builders.simulated_clusters import LAW, make_variant
from tests.builders.simulated_fleets import falsify, make_fleet, make_trace

TTFT, ITL, TTLT = LatencyQuantity.TTFT, LatencyQuantity.ITL, LatencyQuantity.TTLT
ONE_BY_ONE = [10.0 * number for number in range(60)]


def make_stage(**options: object) -> Stage:
    """Return ten minutes with a request every ten seconds, long done before the next one comes."""
    return prepare_stage(make_trace(ONE_BY_ONE, 600.0), make_fleet(), RunOptions(**options))  # type: ignore[arg-type]


def test_figures_of_a_replica_that_serves_one_request_after_the_other_are_those_counted_by_hand() -> None:
    stage = make_stage()
    outcome = run_policy("static_peak", stage)
    figures = compute_figures(outcome, stage.briefing.peaks)
    prefill_s = LAW.fixed_s + 1000 * LAW.per_prompt_token_s
    decode_s = [
        LAW.fixed_s + LAW.per_request_s + (1000 + done) * LAW.per_context_token_s for done in range(1, 101)
    ]  # 101 tokens: the first comes with the prompt
    whole_s = prefill_s + math.fsum(decode_s)
    assert figures.cost == pytest.approx(3.0 * 600.0 / 3600.0)
    assert (figures.requests, figures.failed) == (60, 0)
    assert figures.attainment_ratio == 1.0
    assert figures.kept_ratio == {TTFT: 1.0, ITL: 1.0, TTLT: None}
    for quantiles in (figures.p50_s, figures.p99_s):
        assert quantiles[TTFT] == pytest.approx(prefill_s, rel=0.02)
        assert quantiles[ITL] == pytest.approx(math.fsum(decode_s) / 100, rel=0.02)
        assert quantiles[TTLT] == pytest.approx(whole_s, rel=0.02)
    assert (figures.mean_replicas, figures.max_replicas) == (1.0, 1)
    assert (figures.changes_per_h, figures.reversals) == (0.0, 0)
    assert (figures.under_demand_s, figures.under_own_action_s) == (0.0, 0.0)
    assert figures.bound is not None
    assert 0.0 < figures.bound <= figures.cost


def test_the_table_has_a_column_for_every_run_and_tells_the_figures() -> None:
    stage = make_stage()
    runs = [run_policy(name, stage) for name in ("static_peak", "hpa_queue")]
    figures = [compute_figures(outcome, stage.briefing.peaks) for outcome in runs]
    rows = {line[:26].strip(): line[26:].split() for line in render_table(figures).splitlines()}
    assert rows[""] == ["static_peak", "hpa_queue"]
    assert rows["cost"] == ["0.5000", "0.5000"]
    assert rows["attained, all promises"] == ["100.00", "%", "100.00", "%"]
    assert rows["replicas, mean / max"] == ["1.00", "/", "1", "1.00", "/", "1"]
    assert rows["under capacity, own action"] == ["0", "s", "0", "s"]
    assert rows["dropped"] == ["0", "0"]
    assert "TTLT" not in rows  # nothing was promised about it
    told = render_bounds(runs[0]).splitlines()
    assert told[0] == "bounds for static_peak, which cost 0.5000 and attained 100 %:"
    assert {line.split()[0] for line in told[1:]} == {"LB0", "LB1", "LBw", "REF"}


def test_a_cost_below_its_bound_is_told() -> None:
    outcome = run_policy("static_peak", make_stage())
    assert outcome.is_possible
    cheated = falsify(outcome)
    assert not cheated.is_possible
    assert "VIOLATED" in render_bounds(cheated)
    assert "VIOLATED" not in render_bounds(outcome)


def test_every_policy_of_a_comparison_meets_the_same_requests_and_initial_replicas() -> None:
    trace = make_trace(sorted(np.random.default_rng(1).uniform(0.0, 120.0, 400).tolist()), 120.0)
    stage = prepare_stage(trace, make_fleet(), RunOptions(seed=3, has_bounds=False))
    results = [run_policy(name, stage).result for name in ("hpa_queue", "knative", "slo")]
    requests = [result.scenario.requests for result in results]
    assert all(one is requests[0] for one in requests)
    first = [[figures.replicas.ready.value[0] for figures in result.variants.values()] for result in results]
    assert first[0] == first[1] == first[2]
    assert [result.seed for result in results] == [3, 3, 3]


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_scales_a_fleet_of_two_variants(policy: str) -> None:
    trace = make_trace(sorted(np.random.default_rng(2).uniform(0.0, 90.0, 200).tolist()), 90.0, output_tokens=40)
    fleet = make_fleet(make_variant("a"), make_variant("b", accelerator="L40S"))
    outcome = run_policy(policy, prepare_stage(trace, fleet, RunOptions()))
    assert outcome.result.requests == 200
    assert outcome.result.cost > 0.0
    assert outcome.is_possible


def test_a_peer_may_be_told_what_a_replica_carries() -> None:
    trace = make_trace(sorted(np.random.default_rng(2).uniform(0.0, 90.0, 400).tolist()), 90.0)
    shipped, sized = (
        prepare_stage(trace, make_fleet(), RunOptions(sizes=sizes, has_bounds=False)) for sizes in (False, True)
    )
    assert shipped.briefing.targets == {}
    ((key, requests),) = sized.briefing.targets.items()
    assert key == next(iter(sized.scenario.variants))
    assert 5.0 < requests < 256.0  # more than Ray Serve ships, within what an engine runs at a time
    most = [run_policy("ray_serve", stage).result.variants[key].created for stage in (shipped, sized)]
    assert most[1] < most[0]


@pytest.mark.parametrize(
    "policy, least_ratio",
    [("static_peak", 1.0), ("hpa_queue", 1.0), ("dynamo", 1.0), ("dynamo_rate", 1.0), ("kthena", 1.0), ("slo", 0.5)],
)
def test_prefill_and_decode_may_be_apart(policy: str, least_ratio: float) -> None:
    fleet = make_fleet(*(make_variant(role.value, role=role) for role in (Role.PREFILL, Role.DECODE)))
    outcome = run_policy(policy, prepare_stage(make_trace(ONE_BY_ONE[:6], 60.0), fleet, RunOptions()))
    assert outcome.result.attainment_ratio >= least_ratio
    assert outcome.is_possible


def test_nobody_gets_more_devices_than_there_are() -> None:
    trace = make_trace(sorted(np.random.default_rng(2).uniform(0.0, 90.0, 400).tolist()), 90.0)
    outcome = run_policy("ray_serve", prepare_stage(trace, replace(make_fleet(), quota={"H100": 2}), RunOptions()))
    (lives,) = (figures.replicas for figures in outcome.result.variants.values())
    assert max(lives.requested.value) > 2
    assert max(lives.ready.value) <= 2
    assert max(lives.starting.value) <= 2
    assert outcome.is_possible


def test_an_unknown_policy_is_answered_with_the_nearest() -> None:
    with pytest.raises(NotFound, match="no policy hpa_que; did you mean hpa_queue"):
        make_decider("hpa_que", make_stage().briefing)


def test_lost_pages_are_lost() -> None:
    result = run_policy("hpa_queue", make_stage(scrape=ScrapeOptions(loss_ratio=0.5), has_bounds=False)).result
    assert 0.2 < result.lost_pages / (result.pages + result.lost_pages) < 0.8


def test_progress_grows_up_to_the_end_and_changes_nothing() -> None:
    stage, shares = make_stage(has_bounds=False), list[float]()
    watched = run_policy("hpa_queue", stage, shares.append)
    assert shares == sorted(shares)
    assert 0.0 <= shares[0] < 0.1
    assert 0.9 < shares[-1] <= 1.0
    assert watched.result.to_bytes() == run_policy("hpa_queue", stage).result.to_bytes()
    ours = run_policy("slo", stage, shares.append)  # what it publishes is followed by an HPA either way
    assert ours.result.to_bytes() == run_policy("slo", stage).result.to_bytes()


def test_the_course_adds_up_to_the_figures() -> None:
    stage = make_stage(has_bounds=False)
    outcome = run_policy("slo", stage)
    course = compute_course(outcome.result)
    assert sum(course.demand_per_s) * course.bin_s == pytest.approx(60.0)
    assert course.cost[-1] == pytest.approx(outcome.result.cost)
    figures = compute_figures(outcome, stage.briefing.peaks)
    assert sum(course.replicas) / len(course.replicas) == pytest.approx(figures.mean_replicas)
    assert course.attained[0] == 1.0


def test_the_document_tells_everything_once_more() -> None:
    stage = make_stage()
    outcome = run_policy("static_peak", stage)
    figures, course = compute_figures(outcome, stage.briefing.peaks), compute_course(outcome.result)
    document = json.loads(render_document({"seed": 0}, stage, [(outcome, figures, course)]))
    (run,) = document["runs"]
    assert document["asked"] == {"seed": 0}
    assert document["scenario"]["requests"] == 60
    assert run["figures"]["cost"] == outcome.result.cost
    assert run["digest"] == outcome.result.to_digest()
    assert run["violations"] == []
    assert run["models"]["prod/llama"]["figures"]["cost"] == outcome.result.cost
    assert run["models"]["prod/llama"]["bounds"]["bound"] == run["bounds"]["bound"]
    assert run["figures"]["goodput_per_cost"] == 60 / outcome.result.cost
    assert run["variants"]["prod/llama/a"]["requested"] == [[0.0, 1]]
