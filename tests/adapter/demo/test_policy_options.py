"""What policies are told in a demo: figures that follow from what one replica carries, in options that they accept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapter.compose_demo.fleet_process import build_configuration, build_models
from adapter.config.load import load_configuration
from adapter.demo.catalog import MODEL_NAMES, CatalogOptions, build_accelerators, build_model
from adapter.demo.options import DemoOptions
from adapter.demo.policy_options import MARGIN_RATIO, build_policy_options, estimate_replica_load
from adapter.demo.profiles import read_prices
from optimizer import BUILT_IN_POLICIES, Settings, estimate_capacity
from optimizer.domain import ServedModel, Variant

OTHERS = sorted(BUILT_IN_POLICIES.keys() - {"slo"})
MODELS = tuple(build_model(name, CatalogOptions()) for name in MODEL_NAMES)
SETTINGS = Settings(tuple(model.served for model in MODELS), build_accelerators(MODELS, read_prices()))
SERVED = tuple(model.served for model in MODELS)


@pytest.mark.parametrize("policy", OTHERS)
def test_every_built_in_policy_gets_options_that_pass_when_the_configuration_is_read(
    policy: str, tmp_path: Path
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(build_configuration(DemoOptions(policy=policy), 0, 0, "http://127.0.0.1:1", "http://127.0.0.1:2"))
    for model in load_configuration(path).settings.models:
        assert model.policy == policy
        assert model.policy_options


def test_ours_and_those_of_others_get_none() -> None:
    for policy in ("slo", "somebody's"):
        assert build_policy_options(policy, SERVED[0], SETTINGS) == {}


def test_options_of_ones_own_win() -> None:
    own: dict[str, Any] = {"version": "v1"}
    models = build_models(DemoOptions(policy="saturation", policy_options=json.dumps(own)))
    assert [model.served.policy_options for model in models] == [own] * len(MODELS)


@pytest.mark.parametrize("model", SERVED, ids=lambda model: model.model_id)
def test_the_load_of_a_replica_is_what_it_carries_less_a_margin(model: ServedModel) -> None:
    for variant in model.variants:
        load = estimate_replica_load(variant, model)
        assert model.expected_workload is not None
        capacity_per_s = estimate_capacity(variant, model.expected_workload, model.service_classes).capacity_per_s.value
        assert load.rate_per_s == pytest.approx(MARGIN_RATIO * (capacity_per_s or 0.0))
        stay_s = load.requests / load.rate_per_s
        assert 1.0 < stay_s < 30.0
        assert 0.001 < load.kv_cache_ratio < 0.9


def test_without_a_profile_a_replica_counts_as_a_slow_one() -> None:
    model = SERVED[0]
    unknown: Variant = replace(model.variants[0], performance=None)
    load = estimate_replica_load(unknown, model)
    assert load.rate_per_s == pytest.approx(0.008)
    assert load.requests == 1.0
