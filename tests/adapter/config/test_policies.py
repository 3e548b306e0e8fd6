"""Policies in the configuration: names that nobody knows, and options that a policy does not like."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from adapter.config.decode import decode_data, decode_text
from adapter.config.load import ConfigurationWatcher, load_configuration
from adapter.errors import ConfigurationError
from optimizer import (
    BUILT_IN_POLICIES,
    FixedReplicas,
    InvalidInput,
    ModelView,
    OptionReader,
    Policy,
    PolicyState,
    Proposal,
    Settings,
)
from optimizer.domain import ServedModel, SignalKind, SignalSpec

Data = dict[str, Any]


class Threshold:
    """A policy with two options: one judged alone, the other by the variants there are."""

    def propose(
        self, view: ModelView, state: PolicyState, now_s: float, settings: Settings
    ) -> tuple[Proposal, PolicyState]:
        return FixedReplicas({}), {}

    def list_signals(self, options: Mapping[str, object]) -> tuple[SignalSpec, ...]:
        reader = OptionReader(options)
        kind, window_s = reader.choice("kind", SignalKind.GAUGE), reader.duration_s("window", 60.0)
        names = reader.texts("names", ("queue",))
        reader.number("target", 1.0, above=0.0)
        reader.text("variant", None)
        reader.finish()
        return tuple(SignalSpec(name, name, kind, window_s=window_s) for name in names)

    def check_options(self, model: ServedModel) -> None:
        wanted = model.policy_options.get("variant")
        names = [variant.name for variant in model.variants]
        if wanted is not None and wanted not in names:
            raise InvalidInput("variant", f"one of {', '.join(names)}", wanted)


POLICIES: Mapping[str, Policy] = {**BUILT_IN_POLICIES, "threshold": Threshold()}


def find(data: Data, policies: Mapping[str, Policy] | None = POLICIES) -> list[str]:
    try:
        decode_data(data, policies)
    except ConfigurationError as refusal:
        return list(refusal.problems)
    return []


def choose(data: Data, policy: str = "threshold", **options: object) -> Data:
    data["models"][0].update(policy=policy, policy_options=options)
    return data


def test_a_policy_that_nobody_knows_is_named_with_the_nearest_known(data: Data) -> None:
    assert find(choose(data, "treshold")) == [
        "models[0].policy names treshold, which is not known; did you mean threshold?"
    ]
    assert find(choose(data, "treshold"), policies=None) == []


def test_good_options_pass(data: Data) -> None:
    assert find(choose(data, target=2, window="30s", names=["a", "b"])) == []


def test_everything_wrong_with_options_is_told_with_its_path_beside_all_else(data: Data) -> None:
    choose(data, target=0, windw="30s", kind="median")
    data["models"][1].update(policy="slow", min_replicas=-1)
    problems = find(data)
    assert sorted(problem.split(" ")[0] for problem in problems) == [
        "models[0].policy_options.kind",
        "models[0].policy_options.target",
        "models[0].policy_options.windw",
        "models[1].min_replicas",
        "models[1].policy",
    ]
    assert "models[0].policy_options.windw is not known; did you mean window?" in problems


@pytest.mark.parametrize(
    "options, problem",
    [
        ({"names": ["a", "a"]}, "must be such that no two signals have one name, got a"),
        ({"window": 0}, "must be such that the window of queue is > 0 [s], got 0.0"),
        ({"names": ["x_total"]}, "must be such that the kind of x_total is rate, since it only counts up, got x_total"),
        ({"kind": "quantile"}, "must be such that the quantile of queue is > 0 and < 1, got nothing"),
    ],
)
def test_signals_that_cannot_be_measured_are_refused(data: Data, options: Data, problem: str) -> None:
    assert find(choose(data, **options)) == [f"models[0].policy_options {problem}"]


def test_options_that_could_not_be_read_are_not_judged_again(data: Data) -> None:
    data["models"][0].update(policy="threshold", policy_options=["target"])
    assert find(data) == ["models[0].policy_options must be a mapping of names, got a list"]


TEXT = """
accelerators: {L40S: {cost_per_hour: 1.55}}
service_classes: {interactive: {itl: 50ms}}
models:
  - name: llama
    policy: threshold
    policy_options:
      target: 1
      variant: VARIANT
    variants:
      - {name: l40s, accelerator: L40S, pods: ["http://10.0.0.1:8000"]}
"""


def test_problems_carry_their_line() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        decode_text(TEXT.replace("target: 1", "target: -1").replace("VARIANT", "l40s"), POLICIES)
    (problem,) = refusal.value.problems
    assert problem == "models[0].policy_options.target must be a number > 0, got -1 (line 8)"


def test_options_are_judged_against_the_model_and_its_variants(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(TEXT.replace("VARIANT", "h100"), encoding="utf-8")
    with pytest.raises(ConfigurationError) as refusal:
        load_configuration(file, policies=POLICIES)
    (problem,) = refusal.value.problems
    assert problem == "models[0].policy_options.variant must be one of l40s, got h100 (line 9)"
    file.write_text(TEXT.replace("VARIANT", "l40s"), encoding="utf-8")
    assert load_configuration(file, policies=POLICIES).policies is POLICIES


def test_a_change_is_judged_by_the_same_policies(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(TEXT.replace("VARIANT", "l40s"), encoding="utf-8")
    watcher = ConfigurationWatcher(file, POLICIES)
    file.write_text(TEXT.replace("VARIANT", "h100"), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"policy_options\.variant"):
        watcher.poll()
    assert watcher.poll() is None
    file.write_text(TEXT.replace("VARIANT", "l40s").replace("target: 1", "target: 2"), encoding="utf-8")
    changed = watcher.poll()
    assert changed is not None
    assert changed.settings.models[0].policy_options["target"] == 2


SEVERAL = """
accelerators: {L40S: {cost_per_hour: 1.55}}
service_classes: {interactive: {itl: 50ms}}
decision: {period: 15}
models:
  - name: a
    policy: knative
    policy_options: {total: -1, stable_window: 2s}
    variants: [{name: va, accelerator: L40S, pods: ["http://10.0.0.1:8000"]}]
  - name: b
    policy: skyserve
    policy_options: {target_qps_per_replica: {"L40S:0": 1, A100: x}, upscale_delay: soon}
    variants: [{name: vb, accelerator: L40S, pods: ["http://10.0.0.2:8000"]}]
  - name: c
    policy: aibrix
    policy_options: {algorithm: apa, metric: {series: "vllm:request_success_total", kind: gauge, target: 1}}
    variants:
      - {name: vc, accelerator: L40S, max_replicas: 3, pods: ["http://10.0.0.3:8000"]}
      - {name: w, accelerator: L40S, pods: ["http://10.0.0.4:8000"], performance: {table: {file: gone.csv}}}
  - name: d
    policy: kthena
    policy_options: {tolerance_ratio: 7}
    variants: [{name: vd, accelerator: L40S, pods: ["http://10.0.0.5:8000"]}]
  - name: e
    policy: saturation
    policy_options: {version: v3}
    min_replicas: few
    variants: [{name: ve, accelerator: L40S, startup: slow, pods: ["http://10.0.0.6:8000"]}]
  - name: f
    policy: slo
    policy_options: {metric: x}
    variants: [{name: vf, accelerator: L40S, pods: ["http://10.0.0.7:8000"]}]
"""


def test_one_run_tells_all_that_is_wrong_with_every_model_and_its_policy(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(SEVERAL, encoding="utf-8")
    with pytest.raises(ConfigurationError) as refusal:
        load_configuration(file)
    told = [problem.split(" ")[0] for problem in refusal.value.problems]
    assert sorted(told) == sorted(
        [
            "decision.period",
            "models[0].policy_options.total",
            "models[0].policy_options.stable_window",
            "models[1].max_replicas",
            "models[1].policy_options.target_qps_per_replica.A100",
            'models[1].policy_options.target_qps_per_replica["L40S:0"]',
            "models[1].policy_options.target_qps_per_replica",
            "models[1].policy_options.upscale_delay",
            "models[2].policy_options.metric.kind",
            "models[2].variants[1].performance.table.file",
            "models[2].variants[1].max_replicas",
            "models[3].policy_options.tolerance_ratio",
            "models[3].policy_options.metrics",
            "models[4].policy_options.version",
            "models[4].min_replicas",
            "models[4].variants[0].startup",
            "models[5].policy_options.metric",
        ]
    )
    lines = [int(problem.rpartition("(line ")[2].rstrip(")")) for problem in refusal.value.problems]
    assert lines == sorted(lines)


def test_a_value_of_the_model_is_named_where_it_stands(data: Data) -> None:
    choose(data, "aibrix", algorithm="apa")
    data["models"][0]["variants"][0]["max_replicas"] = 4
    assert len(data["models"][0]["variants"]) > 1
    assert find(data) == [
        f"models[0].variants[{index}].max_replicas must be given, or max_replicas of the model, with algorithm apa, "
        "which may run away, got None"
        for index in range(1, len(data["models"][0]["variants"]))
    ]


def test_what_is_wrong_with_a_model_already_is_not_told_again_by_its_policy(data: Data) -> None:
    choose(data, "skyserve", target_qps_per_replica=1, upscale_delay="soon")
    data["models"][0]["variants"][0].update(min_replicas=5, max_replicas=4)
    problems = find(data)
    assert sum(problem.startswith("models[0].variants[0].max_replicas") for problem in problems) == 1
    assert any(problem.startswith("models[0].policy_options.upscale_delay") for problem in problems)


@pytest.mark.parametrize("key, value", [("accelerator", ["A100"]), ("min_replicas", "two"), ("name", None)])
def test_options_are_judged_alone_where_the_variants_cannot_be_read(data: Data, key: str, value: object) -> None:
    choose(data, "skyserve", target_qps_per_replica={"Z9": 1.0}, upscale_delay="soon")
    data["models"][0]["variants"][0][key] = value
    told = [problem.split(" ")[0] for problem in find(data)]
    assert "models[0].policy_options.upscale_delay" in told
    assert "models[0].policy_options.target_qps_per_replica" not in told
    assert any(path.startswith("models[0].variants[0]") for path in told)
