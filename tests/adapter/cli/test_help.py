from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapter import __version__
from adapter.cli import main, parse

PROJECT = Path(__file__).resolve().parents[3]
COMMANDS = ("run", "demo", "check-config", "plan", "doctor", "simulate")


def _read_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as end:
        main([*arguments, "--help"])
    assert end.value.code == 0
    return capsys.readouterr().out


def _find_examples(text: str) -> Iterator[list[str]]:
    """Yield the arguments of every `variant-autoscaler ...` line among the examples."""
    for line in re.split("examples?:", text)[-1].splitlines():
        if found := re.match(r"\s+variant-autoscaler ([^>#|]+)", line):
            yield shlex.split(found[1])


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert (end.value.code, capsys.readouterr().out) == (0, f"variant-autoscaler {__version__}\n")


@pytest.mark.parametrize("arguments", [[], *([command] for command in COMMANDS)], ids=["all", *COMMANDS])
def test_examples_in_the_help_are_understood_and_their_files_exist(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    examples = list(_find_examples(_read_help(arguments, capsys)))
    assert examples
    for example in examples:
        options = parse(example)
        config = getattr(options, "config", None)
        assert config is None or (PROJECT / config).is_file()


def test_every_command_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    text = _read_help([], capsys)
    assert all(re.search(rf"^ +{command}\b", text, re.MULTILINE) for command in COMMANDS)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"]], ids=" ".join)
def test_help_comes_without_what_deciding_and_a_cluster_need(arguments: list[str]) -> None:
    script = (
        "import sys, contextlib\n"
        "from adapter.cli import main\n"
        "with contextlib.suppress(SystemExit):\n"
        f"    main({arguments})\n"
        "print({name.partition('.')[0] for name in sys.modules} & {'scipy', 'numpy', 'kubernetes_asyncio', 'aiohttp'})"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=PROJECT)
    assert run.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize(
    "named, other", [("run", "adapter.cli.demo"), ("check-config", "adapter.kube"), ("plan", "adapter.doctor")]
)
def test_a_command_does_not_import_what_only_another_one_needs(named: str, other: str) -> None:
    script = (
        "import sys, contextlib\n"
        "from adapter.cli import parse\n"
        "with contextlib.suppress(SystemExit):\n"
        f"    parse(['{named}', '--help'])\n"
        f"print('{other}' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=PROJECT)
    assert run.stdout.splitlines()[-1] == "False"


def test_a_clock_is_made_of_three_numbers() -> None:
    options = parse(["run", "--config", "x.yaml", "--clock", "1700000000.5,4,12.25"])
    clock = options.clock
    assert (clock.start_s, clock.speed, clock.wall_start_s) == (1700000000.5, 4.0, 12.25)


@pytest.mark.parametrize("text", ["1,2", "1,2,3,4", "a,b,c", "1,0,3", "1,-1,3", "1,nan,3", ""])
def test_a_clock_that_cannot_run_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse(["run", "--config", "x.yaml", "--clock", text])
    assert end.value.code == 2
    assert re.search("must be three numbers|must be > 0", capsys.readouterr().err)
