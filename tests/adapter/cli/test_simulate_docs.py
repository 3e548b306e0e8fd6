"""What the documents print about `variant-autoscaler simulate` runs as it is printed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from adapter.cli import main, parse
from adapter.cli.simulate import EXAMPLES
from adapter.simulation.names import FLEETS, POLICIES, TRACES

PROJECT = Path(__file__).resolve().parents[3]
PAGE = (PROJECT / "docs/simulate.md").read_text(encoding="utf-8")
README = (PROJECT / "README.md").read_text(encoding="utf-8")
Capture = pytest.CaptureFixture[str]


def list_commands() -> list[str]:
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.S)
    return [line for line in block.splitlines() if line.startswith("variant-autoscaler simulate")]


def test_the_page_and_the_help_print_the_same_examples() -> None:
    assert list_commands() == list(EXAMPLES)


@pytest.mark.slow
@pytest.mark.parametrize("command", list_commands())
def test_an_example_runs_as_it_is_printed(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    (tmp_path / "examples").symlink_to(PROJECT / "examples")
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command)
    assert words.pop(0) == "variant-autoscaler"
    assert main([*words, "--quiet"]) == 0
    assert "attained, all promises" in capsys.readouterr().out
    written = [word for word in words if word.endswith((".svg", ".json"))]
    assert all((tmp_path / name).stat().st_size > 0 for name in written)


def find_readme_arguments() -> list[str]:
    (arguments,) = re.findall(r'^make simulate ARGS="(.*)"$', README, flags=re.M)
    return shlex.split(arguments)


@pytest.mark.slow
def test_the_example_of_the_readme_runs_as_it_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", *find_readme_arguments()]) == 0
    assert capsys.readouterr().out.splitlines()[2].split() == ["slo", "hpa_queue", "static_peak"]
    assert [path.name for path in tmp_path.iterdir()] == ["hour.svg"]


def test_the_list_of_make_and_the_readme_name_it_and_its_page() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^simulate: .* ## .*docs/simulate\.md", makefile, flags=re.M)
    assert "make simulate " in README.split("```")[1]
    assert "(docs/simulate.md)" in README
    assert parse(["simulate", *find_readme_arguments()]).policies == ("slo", "hpa_queue", "static_peak")


def test_the_page_names_every_argument_trace_fleet_and_policy(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["simulate", "--help"])
    arguments = set(re.findall(r"^  (--[a-z0-9-]+)", capsys.readouterr().out, flags=re.M))
    untold = {"--help", "--quiet", "--fleet", "--policy", "--compare"}
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.S)
    code = " ".join((*blocks, *re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", PAGE, flags=re.S))))
    assert {argument for argument in arguments - untold if argument not in code} == set()
    assert {name for name in (*TRACES, *FLEETS) if name not in code} == set()
    stems = [word.rstrip("*") for word in re.findall(r"[a-z_0-9]+\*?", code)]
    assert {name for name in POLICIES if not any(name.startswith(stem) for stem in stems if len(stem) > 2)} == set()
