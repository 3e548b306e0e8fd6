"""The summary's lines say what they mean, and are worked out with the very settings that were decided with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from adapter.compose_demo.baselines import compare, to_real_bills
from adapter.compose_demo.fleet_process import build_models, build_settings
from adapter.demo.options import DemoOptions

OPTIONS = DemoOptions(models=("llama-70b",))
MODELS = build_models(OPTIONS)
SETTINGS = build_settings(OPTIONS, MODELS)
DURATION_S = 300.0


def make_report(rate_per_s: float) -> dict[str, Any]:
    generator = np.random.default_rng(7)
    count = int(rate_per_s * DURATION_S)
    offsets = sorted(generator.uniform(0.0, DURATION_S, count))
    key = MODELS[0].key
    names = {"namespace": key.namespace, "model_id": key.model_id}
    return {
        "begin_s": 0.0,
        "now_s": DURATION_S,
        "models": [{**names, "total": [count - 10, count - 20]}],
        "open_missed": [5],
        "workloads": [{**names, "cost": 0.75}, {**names, "cost": 0.25}, {**names, "model_id": "other", "cost": 9.0}],
        "requests": [[0, float(offset_s), 1155, 211] for offset_s in offsets],
    }


def test_the_real_bill_adds_up_its_own_workloads_and_counts_the_overdue_as_missed() -> None:
    bill = to_real_bills(make_report(2.0))[MODELS[0].key]
    assert bill.cost == 1.0
    assert bill.attainment_ratio == pytest.approx(580 / 595)


def test_ours_stands_first_measured_and_replayed_and_every_baseline_says_what_it_is() -> None:
    lines = compare(make_report(2.0), SETTINGS, hpa_sync_s=15.0)
    measured, replayed, alike, hindsight, peak = lines
    assert (measured.name, measured.cost) == ("our mix, measured", 1.0)
    assert (measured.saving_ratio, replayed.saving_ratio) == (None, None)
    assert "bound" in hindsight.name
    assert "100 % attainment assumed" in hindsight.note
    costs = {line.name: line.cost or 0.0 for line in (replayed, alike, hindsight, peak)}
    assert min(costs.values()) > 0.0
    assert costs[hindsight.name] <= costs[peak.name]
    assert alike.saving_ratio == pytest.approx(1.0 - costs[replayed.name] / costs[alike.name])


def test_with_somebody_elses_policy_ours_stands_beside_what_was_measured() -> None:
    models = tuple(replace(model, policy="knative", policy_options={"total": 8}) for model in SETTINGS.models)
    measured, *others = compare(make_report(2.0), replace(SETTINGS, models=models), hpa_sync_s=15.0)
    assert measured.name == "policy knative, measured"
    assert others[0].note == "what our policy would have decided on a fluid fleet"
    expected = compare(make_report(2.0), SETTINGS, hpa_sync_s=15.0)[1:]
    assert [(line.name, line.cost) for line in others] == [(line.name, line.cost) for line in expected]


def test_a_demo_without_requests_has_no_baselines() -> None:
    report = {**make_report(2.0), "requests": []}
    assert [line.name for line in compare(report, SETTINGS, 15.0)] == ["our mix, measured"]
