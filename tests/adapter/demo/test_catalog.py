"""The catalog is told to the autoscaler without loss, and the engines behind it run on what was measured."""

from __future__ import annotations

from dataclasses import astuple, replace
from pathlib import Path

import pytest

from adapter.clock import ScaledClock
from adapter.config.load import load_configuration
from adapter.demo.catalog import MODEL_NAMES, CatalogOptions, build_accelerators, build_model
from adapter.demo.configuration_text import Surroundings, render_configuration
from adapter.demo.options import DemoOptions, FleetPlan, decode_plan, encode_plan
from adapter.demo.profiles import SetUp, read_fit, read_iteration_table, read_prices
from adapter.demo.scenarios import ScenarioName
from adapter.errors import BadDocument, NotFound
from optimizer.domain import IterationTable

AROUND = Surroundings(
    page_port=8080,
    api_port=8443,
    inventory_url="http://127.0.0.1:9000/inventory",
    gateway_url="http://127.0.0.1:9001/metrics",
    period_s=15.0,
    actuation_delay_s=15.0,
    calm_window_s=60.0,
)


@pytest.mark.parametrize("min_replicas", [0, 1])
def test_the_configuration_says_what_the_catalog_says(tmp_path: Path, min_replicas: int) -> None:
    options = CatalogOptions(min_replicas=min_replicas, idle_to_zero_s=90.0, startup_s=12.5, percentile=97.5)
    models = tuple(build_model(name, options) for name in MODEL_NAMES)
    accelerators = build_accelerators(models, read_prices())
    path = tmp_path / "config.yaml"
    path.write_text(render_configuration(models, accelerators, AROUND))
    loaded = load_configuration(path)
    told = {model.key: model for model in loaded.settings.models}
    for model in models:
        seen = told[model.key]
        assert seen.service_classes == model.served.service_classes
        assert (seen.min_replicas, seen.idle_to_zero_s) == (min_replicas, 90.0)
        assert replace(seen, variants=(), expected_workload=None) == replace(
            model.served, variants=(), expected_workload=None
        )
        for ours, theirs in zip(model.served.variants, seen.variants, strict=True):
            assert replace(ours, performance=None) == replace(theirs, performance=None)
            assert ours.performance is not None
            assert theirs.performance is not None
            assert ours.performance.law is not None
            assert theirs.performance.law is not None
            assert astuple(theirs.performance.law) == pytest.approx(astuple(ours.performance.law))
    assert sorted(loaded.settings.accelerators, key=lambda one: one.name) == list(accelerators)
    assert loaded.settings.decision.period_s == 15.0


def test_there_are_two_models_on_three_accelerator_types() -> None:
    variants = [v for name in MODEL_NAMES for v in build_model(name, CatalogOptions()).served.variants]
    assert len(MODEL_NAMES) == 2
    assert len({variant.accelerator for variant in variants}) >= 3
    assert len({variant.workload for variant in variants}) == len(variants)


def test_the_fit_is_near_the_table_it_was_fitted_to() -> None:
    for name in MODEL_NAMES:
        model = build_model(name, CatalogOptions())
        for variant in model.served.variants:
            table = model.engines[variant.key()].performance
            assert isinstance(table, IterationTable)
            assert variant.performance is not None
            law = variant.performance.law
            assert law is not None
            batch, context = table.batches.index(16.0), table.contexts_tokens.index(1024.0)
            fitted_s = law.fixed_s + 16 * law.per_request_s + 16 * 1024 * law.per_context_token_s
            assert table.decode_s[batch][context] == pytest.approx(fitted_s, rel=0.15)
            prefill_s = table.prefill_s[table.prompts_tokens.index(2048.0)]
            assert prefill_s == pytest.approx(law.fixed_s + 2048 * law.per_prompt_token_s, rel=0.25)


def test_what_was_not_measured_is_not_made_up() -> None:
    unknown = SetUp("abacus", "8B", 1, "bfloat16")
    with pytest.raises(BadDocument):
        read_iteration_table(unknown)
    with pytest.raises(BadDocument):
        read_fit(unknown)
    with pytest.raises(NotFound, match="llama-8b"):
        build_model("gpt-9", CatalogOptions())


def test_a_price_sheet_of_ones_own_takes_the_place_of_ours(tmp_path: Path) -> None:
    sheet = tmp_path / "prices.csv"
    sheet.write_text("accelerator,cost_per_hour\nA100,3.4\nL40S,1.86\n")
    model = build_model("llama-8b", CatalogOptions())
    priced = build_accelerators((model,), read_prices(sheet))
    assert [(one.name, one.cost_per_hour) for one in priced] == [("A100", 3.4), ("L40S", 1.86)]
    with pytest.raises(NotFound, match="RTX-PRO-6000"):
        build_accelerators((build_model("llama-70b", CatalogOptions()),), read_prices(sheet))
    with pytest.raises(BadDocument, match="cannot be read"):
        read_prices(tmp_path / "missing.csv")
    sheet.write_text("accelerator,cost_per_hour\nA100,cheap\n")
    with pytest.raises(BadDocument, match="line 2"):
        read_prices(sheet)


def test_a_plan_survives_the_way_to_another_process() -> None:
    options = DemoOptions(
        scenario=ScenarioName.STEP, models=("llama-8b",), duration_s=90.0, speed=4.0, has_gateway=False
    )
    plan = FleetPlan(options, ScaledClock(1_700_000_000.123456, 4.0, 12345.678901234))
    assert decode_plan(encode_plan(plan)) == plan
    with pytest.raises(BadDocument):
        decode_plan("{}")
