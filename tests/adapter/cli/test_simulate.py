from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from adapter.cli import main
from adapter.cli.simulated_fleets import build_fleet
from adapter.cli.simulating import judge
from adapter.simulation.names import FLEETS, POLICIES
from adapter.simulation.run_options import RunOptions
from adapter.simulation.running import prepare_stage, run_policy
from tests.builders.simulated_fleets import falsify, make_fleet, make_trace

PROJECT = Path(__file__).resolve().parents[3]
HEAD = "arrival_seconds,input_tokens,output_tokens\n"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Return a file of 120 requests in a minute."""
    path = tmp_path / "minute.csv"
    rows = (f"{number / 2},{200 + 13 * (number % 17)},{20 + number % 40}\n" for number in range(120))
    path.write_text(HEAD + "".join(rows), encoding="utf-8")
    return path


def spawn(*arguments: str, hash_seed: str = "0") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "adapter", "simulate", *arguments],
        cwd=PROJECT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_run_is_told_as_table_picture_and_bounds(trace: Path, tmp_path: Path, capsys: Capture) -> None:
    drawn, written = tmp_path / "run.svg", tmp_path / "run.json"
    arguments = ["--trace", str(trace), "--policy", "hpa_queue", "--picture", str(drawn), "--json", str(written)]
    assert main(["simulate", *arguments]) == 0
    output = capsys.readouterr().out
    assert output.startswith("minute.csv on llama-70b, seed 0: 120 requests in 60 s, 2.00/s\n")
    for word in ("cost", "attained, all promises", "under capacity, own action", "  demand ", "bounds for hpa_queue"):
        assert word in output
    assert ElementTree.fromstring(drawn.read_bytes()).tag.endswith("svg")
    document = json.loads(written.read_bytes())
    assert [run["policy"] for run in document["runs"]] == ["hpa_queue"]
    assert document["asked"]["trace"] == str(trace)
    assert document["runs"][0]["figures"]["requests"] == 120
    assert sorted(path.name for path in tmp_path.iterdir()) == ["minute.csv", "run.json", "run.svg"]


def test_equal_runs_write_equal_bytes_whatever_the_order_of_sets(trace: Path, tmp_path: Path) -> None:
    files = [tmp_path / "first.json", tmp_path / "second.json"]
    asked = [
        "--trace",
        str(trace),
        "--scale",
        "2.5",
        "--fleet",
        "both",
        "--scrape-loss",
        "0.1",
        "--seed",
        "7",
        "--quiet",
    ]
    arguments = [*asked, "--compare", "slo,knative,kthena"]
    running = [spawn(*arguments, "--json", str(file), hash_seed=seed) for file, seed in zip(files, "19", strict=True)]
    outputs = [process.communicate(timeout=240) for process in running]
    assert [process.returncode for process in running] == [0, 0], outputs
    assert outputs[0] == outputs[1]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_comparison_shows_the_policies_side_by_side(trace: Path, capsys: Capture) -> None:
    arguments = ["--trace", str(trace), "--compare", "static_peak,hpa_kv,static_peak", "--quiet", "--no-bounds"]
    assert main(["simulate", *arguments]) == 0
    output = capsys.readouterr().out
    assert "static_peak" in output
    assert output.splitlines()[2].split() == ["static_peak", "hpa_kv"]
    assert "bounds" not in output


def test_a_cost_below_its_bound_ends_with_1(capsys: Capture) -> None:
    stage = prepare_stage(make_trace([0.0, 10.0, 20.0], 60.0), make_fleet(), RunOptions())
    outcome = run_policy("static_peak", stage)
    assert judge([outcome]) == 0
    assert capsys.readouterr().err == ""
    assert judge([outcome, falsify(outcome)]) == 1
    told = capsys.readouterr().err
    assert told.startswith("variant-autoscaler: static_peak: prod/llama: cost 0.000000 is below LB1 = ")
    assert told.endswith("; simulator or bound is wrong\n")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--policy", "hpa_que"], "must be a policy that is known, got hpa_que; did you mean hpa_queue?"),
        (["--compare", "slo,knativ"], "must be a policy that is known, got knativ; did you mean knative?"),
        (["--compare", ","], "must name policies"),
        (["--trace", "azure-our"], "got azure-our; did you mean azure-hour?"),
        (["--trace", "none.csv"], "must be a built-in trace or a file that exists, got none.csv"),
        (["--fleet", "llama-7b"], "must be a built-in fleet, got llama-7b; did you mean llama-"),
        (["--scale", "0"], "must be a number above 0, up to 1000, got 0"),
        (["--scrape-loss", "1.5"], "must be a share from 0 to 0.99, got 1.5"),
        (["--for", "0s"], "must be > 0s, got 0s"),
        (["--from", "5"], "got 5"),
        (["--seed", "-1"], "must be a whole number >= 0, got -1"),
        (["--json", "/nowhere/at/all.json"], "must be a file in a folder that exists"),
        (["--policy", "slo", "--compare", "slo"], "not allowed with argument"),
    ],
)
def test_a_bad_argument_is_told_with_what_was_meant(arguments: list[str], message: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as end:
        main(["simulate", *arguments])
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_what_cannot_be_played_ends_with_1(trace: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["simulate", "--trace", str(trace), "--from", "2m"]) == 1
    assert "minute.csv lasts 60 s; there is no stretch from 120 s" in capsys.readouterr().err
    empty = tmp_path / "empty.csv"
    empty.write_text(HEAD + "50,1,1\n", encoding="utf-8")
    assert main(["simulate", "--trace", str(empty), "--for", "10s"]) == 1
    assert "has no requests" in capsys.readouterr().err


def test_a_configuration_that_cannot_be_used_ends_with_2(tmp_path: Path, capsys: Capture) -> None:
    assert main(["simulate", "--config", str(tmp_path / "nowhere.yaml")]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert main(["simulate", "--config", str(PROJECT / "examples/minimal.yaml")]) == 2
    assert "has no performance.kv_capacity_tokens" in capsys.readouterr().err


def test_the_fleet_of_a_configuration_is_played(trace: Path, tmp_path: Path, capsys: Capture) -> None:
    text = (PROJECT / "examples/minimal.yaml").read_text(encoding="utf-8")
    path = tmp_path / "fleet.yaml"
    path.write_text(text.rstrip() + "\n          kv_capacity_tokens: 220000\n", encoding="utf-8")
    assert main(["simulate", "--trace", str(trace), "--config", str(path), "--policy", "configured", "--quiet"]) == 0
    assert capsys.readouterr().out.startswith("minute.csv on fleet.yaml, seed 0")


def test_every_policy_and_fleet_is_in_the_help(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["simulate", "--help"])
    text = capsys.readouterr().out
    assert all(f"\n  {name} " in text for name in (*POLICIES, *FLEETS))


@pytest.mark.parametrize("name", FLEETS)
def test_every_built_in_fleet_can_be_built(name: str) -> None:
    fleet = build_fleet(name)
    assert sum(fleet.shares) == pytest.approx(1.0)
    assert len(fleet.shares) == len(fleet.settings.models)
    assert set(fleet.engines) == {
        variant.key(variant.main_role) for model in fleet.settings.models for variant in model.variants
    }


@pytest.mark.slow
def test_an_interrupt_leaves_no_file_behind(tmp_path: Path) -> None:
    written = tmp_path / "hour.json"
    process = spawn("--trace", "azure-hour", "--json", str(written))
    assert process.stderr is not None
    assert "of the time is played" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (1, "")
    assert errors.splitlines()[-1] == "interrupted"
    assert not list(tmp_path.iterdir())
