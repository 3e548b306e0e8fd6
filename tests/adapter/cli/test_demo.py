"""`variant-autoscaler demo`: options become what is played, and wrong ones are refused with a reason."""

from __future__ import annotations

import argparse

import pytest

from adapter import cli
from adapter.cli.demo import to_options
from adapter.demo.catalog import MODEL_NAMES
from adapter.demo.options import DemoOptions
from adapter.demo.scenarios import ScenarioName


def parse(*arguments: str) -> argparse.Namespace:
    return cli.parse(["demo", *arguments])


def test_nothing_said_plays_the_trace_on_every_model_until_it_is_stopped() -> None:
    options = to_options(parse())
    assert options == DemoOptions()
    assert (options.scenario, options.models, options.duration_s) == (ScenarioName.TRACE, MODEL_NAMES, None)


def test_every_option_arrives() -> None:
    words = (
        "--scenario step --model llama-8b --seed 7 --for 10m --speed 4 --startup 30s --hpa-sync 5s "
        "--scrape-interval 10s --calm-window 90s --port 9090 --router-port 9091 --policy target "
        "--policy-options {} --no-gateway"
    )
    assert to_options(parse(*words.split())) == DemoOptions(
        scenario=ScenarioName.STEP,
        models=("llama-8b",),
        seed=7,
        duration_s=600.0,
        speed=4.0,
        startup_s=30.0,
        hpa_sync_s=5.0,
        scrape_interval_s=10.0,
        calm_window_s=90.0,
        page_port=9090,
        router_port=9091,
        policy="target",
        policy_options="{}",
        has_gateway=False,
    )


@pytest.mark.parametrize(
    "words, told",
    [
        ("--for 10", "a duration with its unit"),
        ("--speed fast", "a number > 0"),
        ("--speed -1", "a number > 0"),
        ("--scenario doom", "choose from"),
        ("--for 0", "> 0s"),
        ("--port 65536", "a port"),
        ("--port -1", "a port"),
        ("--json /no/such/folder/summary.json", "a folder that exists"),
        ("--policy doom", "must be a policy that is known, got doom; known are "),
        ("--policy tagret", "did you mean target?"),
        ("--policy-options 7", "must be a JSON object"),
        ("--policy-options {", "must be a JSON object"),
        ("--model gpt", "invalid choice"),
    ],
)
def test_wrong_words_are_refused_with_a_reason(words: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refusal:
        parse(*words.split())
    assert refusal.value.code == 2
    assert told in capsys.readouterr().err


def test_help_lists_every_scenario_and_hides_the_process_of_the_fleet(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("--help")
    text = capsys.readouterr().out
    assert all(f"  {name.value} " in text for name in ScenarioName)
    with pytest.raises(SystemExit):
        cli.parse(["--help"])
    assert "demo-fleet" not in capsys.readouterr().out
