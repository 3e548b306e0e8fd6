from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from adapter.cli import main
from adapter.cli.simulated_fleets import build_fleet
from adapter.cli.simulating import judge
from adapter.simulation.asking import to_lengths
from adapter.simulation.names import FLEETS, POLICIES
from adapter.simulation.opening import ask_once
from adapter.simulation.run_options import RunOptions
from adapter.simulation.running import prepare_stage, run_policy
from adapter.simulation.traces import read_trace, scale_trace
from optimizer.domain import Role, Workload
from optimizer.simulation.deciders import make_static_peak
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
        (["--picture", "run.png"], "argument --picture: must end in .svg, for an SVG is drawn, got run.png"),
        (["--picture", "picture"], "argument --picture: must end in .svg"),
        (["--policy", "slo", "--compare", "slo"], "not allowed with argument"),
        (["--no-bounds", "--measured-bounds"], "not allowed with argument"),
        (["--noise", "0.1", "--measured-bounds"], "argument --measured-bounds: not allowed with argument --noise"),
        (["--startup-p95", "60s"], "argument --startup-p95: must be >= --startup, which is 120 s, got 60 s"),
        (["--startup", "3m", "--startup-p95", "2m"], "must be >= --startup, which is 180 s, got 120 s"),
        (["--class-shares", "llama-70b-chat"], "must be NAME=N,NAME=N with names once and a weight >= 0 each"),
        (["--class-shares", "chat=-1"], "must be NAME=N,NAME=N with names once and a weight >= 0 each, got chat=-1"),
        (["--class-shares", "a=1,a=2"], "must be NAME=N,NAME=N with names once"),
        (["--class-shares", "llama-70b-chatt=1"], "got llama-70b-chatt; did you mean llama-70b-chat?"),
        (["--class-shares", "llama-70b-chat=0"], "must be above 0 for a class of meta-llama/Llama-3.1-70B-Instruct"),
        (["--quota", "H100=0"], "must be NAME=N,NAME=N with names once and a whole number >= 1 each, got H100=0"),
        (["--quota", "H10=8"], "argument --quota: must name an accelerator of the fleet, got H10; did you mean H100?"),
        (["--truth-scale", "0"], "argument --truth-scale: must be a number above 0, up to 1000, got 0"),
        (["--noise", "1"], "argument --noise: must be a share from 0 to 0.99, got 1"),
        (["--cached", "2"], "argument --cached: must be a share from 0 to 0.99, got 2"),
        (["--hpa-sync", "0s"], "argument --hpa-sync: must be > 0s, got 0s"),
        (["--hpa-tolerance", "x"], "argument --hpa-tolerance: must be a share from 0 to 0.99, got x"),
        (["--jump-at", "2h"], "argument --jump-at: must be before the end, which is at 3502 s"),
        (["--kv-speed", "-1"], "argument --kv-speed: must be a number above 0"),
        (["--grace", "5"], "argument --grace"),
        (["--image-pull", "soon"], "argument --image-pull"),
    ],
)
def test_a_bad_argument_is_told_with_what_was_meant(arguments: list[str], message: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as end:
        main(["simulate", *arguments])
    assert end.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "rows, arguments, message",
    [
        ("50,1,1\n", ["--from", "100h"], "lasts 51 s; there is no stretch from 360000 s"),
        ("50,1,1\n", ["--for", "10s"], "has no requests"),
        ("50,1,1\n", ["--jump-at", "5h"], "argument --jump-at: must be before the end, which is at 51 s"),
        ("50,1\n", [], "trace log.csv line 2 must hold arrival_seconds,input_tokens,output_tokens, got 50,1,nothing"),
        ("1e12,1,1\n", [], "trace log.csv line 2 must have a time in seconds, below 1e+11, got 1e12"),
        (
            "1,1,1\n1e7,1,1\n",
            [],
            "line 3 must be less than 2678400 s (31 days) after 0 s, where the trace begins, got 1",
        ),
        ("", [], "trace log.csv has no requests"),
    ],
)
def test_what_cannot_be_played_ends_with_2(
    rows: str, arguments: list[str], message: str, tmp_path: Path, capsys: Capture
) -> None:
    log = tmp_path / "log.csv"
    log.write_text(HEAD + rows, encoding="utf-8")
    with pytest.raises(SystemExit) as end:
        main(["simulate", "--trace", str(log), *arguments])
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_a_log_with_unix_times_is_played_from_its_first_second(tmp_path: Path, capsys: Capture) -> None:
    log, written = tmp_path / "log.csv", tmp_path / "run.json"
    log.write_text(HEAD + "1700000000.5,10,5\n1700000010,10,5\n", encoding="utf-8")
    asked = ["--trace", str(log), "--policy", "hpa_queue", "--quiet", "--json", str(written)]
    assert main(["simulate", *asked]) == 0
    told = capsys.readouterr().out.splitlines()[0]
    assert told.endswith(": 2 requests in 11 s, 0.18/s, times counted from 1700000000 s")
    scenario = json.loads(written.read_bytes())["scenario"]
    assert (scenario["counted_from_s"], scenario["horizon_s"]) == (1_700_000_000.0, 11.0)


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


@pytest.mark.slow
def test_every_argument_of_the_surroundings_changes_the_run(tmp_path: Path, capsys: Capture) -> None:
    burst = tmp_path / "burst.csv"
    times_s = [float(second) for second in range(40)] + [40.0 + number / 40.0 for number in range(1200)]
    times_s += [70.0 + number / 2.0 for number in range(400)]
    burst.write_text(HEAD + "".join(f"{time_s},800,300\n" for time_s in times_s), encoding="utf-8")
    usual = ["--trace", str(burst), "--fleet", "llama-8b-l40s", "--startup", "10s", "--quiet", "--no-bounds"]
    changes = [
        *([], ["--cached", "0.9"], ["--truth-scale", "1.5"], ["--noise", "0.3"], ["--image-pull", "20s"]),
        *(["--quota", "L40S=1"], ["--grace", "0s"], ["--failed-starts", "0.5"], ["--startup-p95", "20s"]),
        *(["--scrape-interval", "5s"], ["--router", "round_robin"], ["--hpa-sync", "40s"], ["--peers", "sized"]),
        *(["--hpa-delay", "45s"], ["--hpa-tolerance", "0.9"], ["--hpa-down-window", "10m"], ["--scrape-loss", "0.5"]),
    ]
    digests = []
    for number, change in enumerate(changes):
        written = tmp_path / f"{number}.json"
        assert main(["simulate", *usual, "--compare", "slo,knative", *change, "--json", str(written)]) == 0
        digests.append([run["digest"] for run in json.loads(written.read_bytes())["runs"]])
    capsys.readouterr()
    assert [changes[number] for number, one in enumerate(digests) if number and one == digests[0]] == []


def test_the_document_says_what_was_asked_and_no_more(trace: Path, tmp_path: Path, capsys: Capture) -> None:
    text = (PROJECT / "examples/minimal.yaml").read_text(encoding="utf-8")
    config, written = tmp_path / "fleet.yaml", tmp_path / "run.json"
    config.write_text(text.rstrip() + "\n          kv_capacity_tokens: 220000\n", encoding="utf-8")
    common = ["--trace", str(trace), "--policy", "static_peak", "--no-bounds", "--quiet", "--json", str(written)]
    assert main(["simulate", *common, "--config", str(config)]) == 0
    asked = json.loads(written.read_bytes())["asked"]
    assert asked["config"] == str(config)
    assert "fleet" not in asked
    assert main(["simulate", *common]) == 0
    asked = json.loads(written.read_bytes())["asked"]
    assert asked["fleet"] == "llama-70b"
    assert "config" not in asked
    assert "note:" not in capsys.readouterr().out


def test_a_startup_of_a_configuration_that_is_longer_than_its_p95_is_named(
    trace: Path, tmp_path: Path, capsys: Capture
) -> None:
    text = (PROJECT / "examples/minimal.yaml").read_text(encoding="utf-8")
    config = tmp_path / "fleet.yaml"
    config.write_text(text.rstrip() + "\n          kv_capacity_tokens: 220000\n", encoding="utf-8")
    with pytest.raises(SystemExit) as end:
        main(["simulate", "--trace", str(trace), "--config", str(config), "--startup-p95", "1s"])
    assert end.value.code == 2
    assert "argument --startup-p95: must be >= that of " in capsys.readouterr().err


def test_what_cannot_scale_prefill_and_decode_apart_is_told_below_the_table(trace: Path, capsys: Capture) -> None:
    asked = ["--trace", str(trace), "--fleet", "llama-70b-apart", "--no-bounds", "--quiet"]
    assert main(["simulate", *asked, "--compare", "slo,static_peak"]) == 0
    output = capsys.readouterr().out
    assert "note: slo plans every variant as if it served whole requests" in output
    assert "note: static_peak" not in output


def test_measured_bounds_have_a_row_and_a_rung(trace: Path, capsys: Capture) -> None:
    asked = ["--trace", str(trace), "--fleet", "llama-8b-l40s", "--policy", "static_peak", "--quiet"]
    assert main(["simulate", *asked, "--measured-bounds"]) == 0
    output = capsys.readouterr().out
    assert "bound, measured" in output
    assert "LBm(a)" in output
    assert main(["simulate", *asked]) == 0
    assert "bound, measured" not in capsys.readouterr().out


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


@pytest.mark.parametrize("name", FLEETS)
def test_no_bound_of_a_built_in_fleet_binds_what_a_denser_trace_needs(name: str) -> None:
    dense = scale_trace(read_trace("step", 1), 60.0, 1)
    fleet = build_fleet(name, trace=dense)
    busiest = np.bincount((dense.arrival_s // 60.0).astype(int)).max() / 60.0
    for model, share in zip(fleet.settings.models, fleet.shares, strict=True):
        workload = Workload(busiest * share, to_lengths(dense.input_tokens), to_lengths(dense.output_tokens))
        whole = [variant for variant in model.variants if variant.main_role is Role.BOTH]
        for variant in whole:
            alone = replace(model, variants=(variant,))
            settings = replace(fleet.settings, models=(alone,))
            (needed,) = ask_once(make_static_peak(settings, {model.key: workload})).values()
            assert 24 < 2 * needed <= (variant.max_replicas or 0)
        assert model.max_replicas == sum(variant.max_replicas or 0 for variant in model.variants)
    assert {one.max_replicas for model in build_fleet(name).settings.models for one in model.variants} == {24}


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
