from __future__ import annotations

from pathlib import Path

import pytest

from adapter.errors import ConfigurationError
from adapter.simulation.fleet import read_fleet
from adapter.simulation.run_options import RunOptions
from adapter.simulation.running import prepare_stage
from optimizer import BUILT_IN_POLICIES
from optimizer.domain import IterationLaw
from tests.builders.simulated_fleets import make_trace

TEXT = """\
accelerators:
  L40S: {cost_per_hour: 1.55}
service_classes:
  interactive: {ttft: 2s, itl: 50ms}
models:
  - name: llama-8b
    policy: knative
    variants:
      - name: l40s
        accelerator: L40S
        pods: ["http://127.0.0.1:8000"]
        startup: 90s
        performance:
          law: {fixed: 22ms, per_request: 34us, per_context_token: 207ns, per_prompt_token: 68us}
          kv_capacity_tokens: 200000
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "fleet.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_engines_behave_as_their_configuration_says(tmp_path: Path) -> None:
    fleet = read_fleet(write(tmp_path, TEXT), BUILT_IN_POLICIES)
    ((key, truth),) = fleet.engines.items()
    assert (key.variant, truth.performance) == ("l40s", IterationLaw(0.022, 34e-6, 207e-9, 68e-6))
    assert (truth.limits.kv_capacity_tokens, truth.limits.max_running_requests) == (200_000, 256)
    assert (fleet.name, fleet.shares) == ("fleet.yaml", (1.0,))
    assert fleet.settings.models[0].variants[0].startup_s == 90.0
    assert fleet.with_startup(30.0).settings.models[0].variants[0].startup_s == 30.0
    assert fleet.settings.models[0].policy == "knative"
    assert fleet.with_policy("slo").settings.models[0].policy == "slo"


def test_ours_is_told_nothing_of_the_requests_that_others_are_not(tmp_path: Path) -> None:
    text = TEXT.replace("    policy: knative\n", "    expected_workload: {input_tokens: 100, output_tokens: 9}\n")
    fleet = read_fleet(write(tmp_path, text), BUILT_IN_POLICIES)
    trace = make_trace([float(second) for second in range(60)], 60.0)
    briefing = prepare_stage(trace, fleet, RunOptions(has_bounds=False)).briefing
    assert [model.expected_workload for model in briefing.ours.models] == [None]
    assert briefing.settings.models[0].expected_workload is not None  # for `configured`, as the product would


def test_what_an_engine_would_need_to_know_is_asked_for(tmp_path: Path) -> None:
    text = TEXT.replace("          kv_capacity_tokens: 200000\n", "")
    with pytest.raises(ConfigurationError) as refusal:
        read_fleet(write(tmp_path, text), BUILT_IN_POLICIES)
    (problem,) = refusal.value.problems
    assert problem == (
        "models: llama-8b, variant l40s, has no performance.kv_capacity_tokens; a simulated engine needs it"
    )


def test_a_limit_on_one_accelerator_is_real_and_others_are_only_told(tmp_path: Path) -> None:
    limits = (
        "limits:\n"
        "  - {name: stock, accelerators: [L40S], amount: 6}\n"
        "  - {name: granted, kind: quota, accelerators: [L40S], amount: 4}\n"
        "  - {name: budget, kind: money, amount: 2}\n"
        "  - {name: not-known, accelerators: [L40S], amount: unknown}\n"
    )
    fleet = read_fleet(write(tmp_path, limits + TEXT), BUILT_IN_POLICIES)
    assert fleet.quota == {"L40S": 4}
    assert [limit.name for limit in fleet.settings.limits] == ["stock", "granted", "budget", "not-known"]
    assert read_fleet(write(tmp_path, TEXT), BUILT_IN_POLICIES).quota == {}
