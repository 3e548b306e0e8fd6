"""With which replicas policies begin, and what is told about it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from adapter.simulation.names import EACH_VARIANT, POLICIES, STATIC, WHOLE_REQUESTS
from adapter.simulation.notes import list_notes
from adapter.simulation.run_options import RunOptions
from adapter.simulation.running import Stage, prepare_stage, run_policy
from optimizer.domain import Role, Variant
from tests.builders.simulated_clusters import make_variant
from tests.builders.simulated_fleets import make_fleet, make_trace

SMALL, LARGE = make_variant("small"), make_variant("large", accelerator="L40S")
APART = tuple(make_variant(role.value, role=role) for role in (Role.PREFILL, Role.DECODE))


def make_stage(*variants: Variant, rate_per_s: float = 8.0, duration_s: float = 300.0) -> Stage:
    times_s = np.random.default_rng(2).uniform(0.0, duration_s, round(rate_per_s * duration_s))
    trace = make_trace(sorted(times_s.tolist()), duration_s)
    return prepare_stage(trace, make_fleet(*variants), RunOptions(has_bounds=False))


def get_opening(policy: str, stage: Stage) -> dict[str, int]:
    plants = run_policy(policy, stage).result.scenario.plants
    return {key.variant: plant.initial_replicas for key, plant in plants.items()}


@pytest.mark.parametrize("policy", EACH_VARIANT)
def test_scalers_of_one_deployment_begin_with_one_replica_of_each(policy: str) -> None:
    stage = make_stage(replace(SMALL, cost_per_hour=1.0), replace(LARGE, cost_per_hour=9.0))
    assert get_opening("slo", stage) == {"small": 1, "large": 0}
    outcome = run_policy(policy, stage)
    assert get_opening(policy, stage) == {"small": 1, "large": 1}
    assert all(min(one.replicas.requested.value) >= 1 for one in outcome.result.variants.values())
    (note,) = list_notes(stage, [outcome])
    assert note.endswith("it began with 1 small + 1 large, others with 1 small + 0 large")


def test_a_variant_that_may_have_no_replica_begins_with_none() -> None:
    stage = make_stage(SMALL, replace(LARGE, max_replicas=0))
    assert get_opening("hpa_queue", stage)["large"] == 0


def test_on_a_fleet_of_one_variant_everybody_but_the_static_begins_alike() -> None:
    stage = make_stage(SMALL)
    openings = [get_opening(policy, stage) for policy in POLICIES if policy not in STATIC]
    assert all(one == openings[0] for one in openings)


@pytest.mark.parametrize(
    "policy", ["static_peak", "best_homogeneous", "hpa_queue", "hpa_kv", "keda", "kthena", "dynamo", "dynamo_rate"]
)
def test_prefill_and_decode_apart_are_served(policy: str) -> None:
    stage = make_stage(*APART)
    outcome = run_policy(policy, stage)
    assert outcome.result.attainment_ratio >= 0.95
    assert list_notes(stage, [outcome]) == []


def test_the_opening_carries_both_roles_of_a_busy_fleet() -> None:
    stage = make_stage(*APART, rate_per_s=60.0, duration_s=120.0)
    opening = {key.role: plant.initial_replicas for key, plant in stage.scenario.plants.items()}
    assert min(opening.values()) >= 2
    assert opening[Role.PREFILL] != opening[Role.DECODE]
    assert run_policy("static_peak", stage).result.attainment_ratio >= 0.99


@pytest.mark.parametrize("policy", WHOLE_REQUESTS)
def test_whoever_does_not_scale_prefill_and_decode_apart_is_told(policy: str) -> None:
    stage = make_stage(*APART, duration_s=90.0)
    outcome = run_policy(policy, stage)
    assert outcome.result.attainment_ratio > 0.02  # not a single one without the opening of both roles
    (note,) = list_notes(stage, [outcome])
    assert note.startswith(f"{policy} plans every variant as if it served whole requests; it does not scale prefill")


@pytest.mark.parametrize("policy", WHOLE_REQUESTS)
def test_on_a_fleet_of_whole_requests_there_is_nothing_to_be_told(policy: str) -> None:
    stage = make_stage(SMALL, rate_per_s=1.0, duration_s=30.0)
    assert list_notes(stage, [run_policy(policy, stage)]) == []
