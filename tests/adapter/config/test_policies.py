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
        decode_text(TEXT.replace("target: 1", "target: -1"), POLICIES)
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
