"""The example of a policy of one's own, installed as a package: from its pages over a live pass to the decision."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapter.cli import main
from adapter.compose import open_application, run_dry_pass
from adapter.compose.local import LocalWork
from adapter.errors import ConfigurationError
from optimizer.domain import ModelDecision, ReasonCode
from tests.builders.captured_log import CapturedLog
from tests.builders.decisions import ManualClock
from tests.builders.fake_pod import FakePod
from tests.builders.installed_package import install_package, install_project

PROJECT = Path(__file__).resolve().parents[3] / "examples" / "own-policy"


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[None]:
    with install_project(tmp_path / "site-packages", PROJECT):
        yield


def choose(config: Path, policy: str, options: str = "{}") -> None:
    """Let the only model of `config` be decided about by `policy`."""
    text = config.read_text(encoding="utf-8")
    line = "  - name: tiny-llama\n"
    config.write_text(
        text.replace(line, f"{line}    policy: {policy}\n    policy_options: {options}\n"), encoding="utf-8"
    )


async def run_pass(config: Path, fake_pod: FakePod) -> ModelDecision:
    (decision,) = await run_dry_pass(config, ManualClock(), lambda _text: fake_pod.grow(30))
    return decision


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("per_replica, replicas", [(16, 1), (2, 3)])
async def test_what_engines_tell_becomes_replicas(
    config: Path, fake_pod: FakePod, per_replica: int, replicas: int
) -> None:
    idle = 'vllm:num_requests_running{engine="0",model_name="tiny-llama"} 0.0'
    assert idle in fake_pod.page
    fake_pod.page = fake_pod.page.replace(idle, idle.replace(" 0.0", " 5.0"))
    choose(config, "requests-per-replica", f"{{requests_per_replica: {per_replica}}}")
    decision = await run_pass(config, fake_pod)
    assert decision.variants[0].planned_replicas == replicas


@pytest.mark.usefixtures("installed")
async def test_a_series_of_its_own_choice_becomes_replicas(config: Path, fake_pod: FakePod) -> None:
    fake_pod.page += 'rack_fullness{shelf="a"} 1.5\nrack_fullness{shelf="b"} 0.5\n'
    choose(config, "kv-cache", "{series: rack_fullness, target_ratio: 0.5}")
    decision = await run_pass(config, fake_pod)
    assert decision.variants[0].planned_replicas == 4


@pytest.mark.usefixtures("installed")
async def test_options_that_it_does_not_like_are_refused_when_the_configuration_is_read(config: Path) -> None:
    choose(config, "kv-cache", "{target: 0.5, target_ratio: 2}")
    with pytest.raises(ConfigurationError) as refusal:
        await run_dry_pass(config, ManualClock(), print)
    assert [problem.rpartition(" (line")[0] for problem in refusal.value.problems] == [
        "models[0].policy_options.target_ratio must be a number > 0 and <= 1, got 2",
        "models[0].policy_options.target is not known; did you mean target_ratio?",
    ]


@pytest.mark.usefixtures("installed")
async def test_options_that_fail_later_hold_the_model(config: Path, fake_pod: FakePod) -> None:
    choose(config, "requests-per-replica", "{requests_per_replica: 0}")
    decision = await run_pass(config, fake_pod)
    assert decision.reason.code is ReasonCode.POLICY_FAILED
    assert "policy_options.requests_per_replica must be a number > 0, got 0" in decision.reason.message


@pytest.mark.usefixtures("installed")
def test_check_config_knows_it_and_tells_the_nearest_name(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    choose(config, "kv-cache")
    assert main(["check-config", str(config)]) == 0
    config.write_text(config.read_text(encoding="utf-8").replace("policy: kv-cache", "policy: kv-cash"))
    assert main(["check-config", str(config)]) == 2
    assert "models[0].policy names kv-cash, which is not known; did you mean kv-cache?" in capsys.readouterr().err


def test_a_package_that_cannot_be_loaded_ends_every_command(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with install_package(tmp_path / "broken", "broken", {"mine": "broken:Absent"}, {"broken": ""}):
        for command in (
            ["check-config", str(config)],
            ["plan", "--config", str(config)],
            ["run", "--config", str(config)],
        ):
            assert main(command) == 1
            (line,) = capsys.readouterr().err.splitlines()
            assert line == (
                "variant-autoscaler: policy mine = broken:Absent of broken 1.0 cannot be loaded: "
                "AttributeError: module 'broken' has no attribute 'Absent'"
            )


@pytest.mark.usefixtures("installed")
async def test_the_running_adapter_decides_by_it(config: Path, fake_pod: FakePod, log: CapturedLog) -> None:
    fake_pod.page += 'rack_fullness{shelf="a"} 1.0\n'
    choose(config, "kv-cache", "{series: rack_fullness, target_ratio: 0.5}")
    clock = ManualClock()
    async with open_application(config, clock) as application:
        assert isinstance(application.work, LocalWork)
        await application.work.controller.run_pass()
        clock.time_s += 15.0
        fake_pod.grow(30)
        (decision,) = await application.work.controller.run_pass()
    assert len(log.read("cycle")) == 2
    assert decision.variants[0].planned_replicas == 2
