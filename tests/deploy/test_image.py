"""What the image is made of; building it needs an engine, so its commands are tried without one in `test_wheel.py`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from adapter import __version__
from tests.deploy.chart import ROOT, Helm
from tests.deploy.dockerfile import TARGET, list_copied, read_stages

BUILD, FINAL = read_stages()
LONGEST_MAKE_S = 300.0


def _get(word: str) -> list[str]:
    return [instruction.rest for instruction in FINAL if instruction.word == word]


def _make_image(folder: Path, *arguments: str, **engines: int) -> subprocess.CompletedProcess[str]:
    """Run `make image` with fake engines: each answers `version` with its exit code, and shows what it was told."""
    for name, code in engines.items():
        engine = folder / name
        engine.write_text(f'#!/bin/sh\n[ "$1" = version ] && exit {code}\necho "{name} $*"\n', encoding="utf-8")
        engine.chmod(0o755)
    for tool in ("make", "sh", "sed"):
        (folder / tool).symlink_to(_find(tool))
    return subprocess.run(
        [str(folder / "make"), "--no-print-directory", "image", *arguments],
        cwd=ROOT, env={"PATH": str(folder)}, capture_output=True, text=True, timeout=LONGEST_MAKE_S, check=False,
    )  # fmt: skip


def _find(tool: str) -> Path:
    return next(Path(place, tool) for place in os.environ["PATH"].split(":") if Path(place, tool).exists())


def test_two_stages_share_a_base_that_can_be_chosen() -> None:
    assert [stage[0].rest.split()[0] for stage in (BUILD, FINAL)] == ["${PYTHON_IMAGE}", "${PYTHON_IMAGE}"]
    assert _get("COPY") == [f"--from=build {TARGET} {TARGET}"]
    assert not _get("RUN")


def test_nothing_is_installed_that_was_not_checked_by_hash() -> None:
    fetched, *rest = (instruction.rest for instruction in BUILD if instruction.word == "RUN")
    assert "--require-hashes" in fetched
    assert "--only-binary=:all:" in fetched
    installs = [command for command in rest if " pip " in f" {command.replace('-m pip', ' pip ')} "]
    assert installs
    for command in installs:
        assert "--no-index" in command, command


def test_it_runs_as_the_user_the_chart_names(helm: Helm) -> None:
    context = helm.render().get_pod()["spec"]["securityContext"]
    assert _get("USER") == [f"{context['runAsUser']}:{context['runAsGroup']}"]


def test_the_command_is_ours(helm: Helm) -> None:
    assert _get("ENTRYPOINT") == ['["variant-autoscaler"]']
    assert helm.render().get_container()["args"][0] == "run"


def test_only_what_is_copied_reaches_the_engine() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert let_in == set(list_copied(BUILD))
    assert "*" in lines


def test_the_image_gets_the_version_as_its_tag(tmp_path: Path) -> None:
    made = _make_image(tmp_path, "IMAGE=registry.example.com:5000/llm/va", docker=0)
    assert made.returncode == 0
    assert f"docker build --tag registry.example.com:5000/llm/va:{__version__} ." in made.stdout


def test_a_tag_that_is_given_stays(tmp_path: Path) -> None:
    made = _make_image(tmp_path, "IMAGE=registry.example.com:5000/llm/va:next", podman=0)
    assert "podman build --tag registry.example.com:5000/llm/va:next ." in made.stdout


def test_podman_takes_over_where_docker_does_not_answer(tmp_path: Path) -> None:
    assert "podman build" in _make_image(tmp_path, docker=1, podman=0).stdout


@pytest.mark.parametrize(
    "engines, expected",
    [
        ({}, "image: a container engine is needed; looked for: docker podman"),
        ({"docker": 1}, "image: docker is installed but does not answer"),
    ],
)
def test_without_an_engine_it_says_so(tmp_path: Path, engines: dict[str, int], expected: str) -> None:
    made = _make_image(tmp_path, **engines)
    assert made.returncode != 0
    assert expected in made.stderr
