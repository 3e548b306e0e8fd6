"""The Dockerfile as instructions, and its first stage carried out without a container engine.

Its commands run as they stand, in a folder of the machine instead of a layer; the base image is this machine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.deploy.chart import ROOT

TARGET: Final = "/opt/variant-autoscaler"
"""Where the environment is in the image."""
_LONGEST_COMMAND_S: Final = 900.0


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its word in capitals, and the rest of its line."""

    word: str
    rest: str


def read_stages(path: Path = ROOT / "Dockerfile") -> list[list[Instruction]]:
    """Return the instructions of every stage; those before the first ``FROM`` belong to none."""
    text = re.sub(r"\\\n", " ", path.read_text(encoding="utf-8"))
    stages: list[list[Instruction]] = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            stages.append([])
        if stages:
            stages[-1].append(Instruction(word, rest.strip()))
    return stages


class BuildFailed(Exception):
    """A command of the Dockerfile failed; carries what it said."""


def replay_build(folder: Path, cache: Path) -> Path:
    """Carry out the first stage in `folder`, and return the environment that it makes.

    Raises
    ------
    BuildFailed
        When a command fails.
    """
    target = folder / "target"
    workplace = folder / "build"
    workplace.mkdir(parents=True)
    commands = folder / "bin"
    commands.mkdir()
    (commands / "python").symlink_to(sys._base_executable)  # type: ignore[attr-defined] # not that of an environment
    environment = {
        "PATH": f"{commands}:{os.environ['PATH']}",
        "HOME": str(folder),
        "PIP_CACHE_DIR": str(cache),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        **{key: value for key, value in os.environ.items() if key.lower().endswith("_proxy") or key.startswith("PIP_")},
    }
    for instruction in read_stages()[0]:
        if instruction.word == "COPY":
            _copy(instruction.rest, workplace)
        elif instruction.word == "RUN":
            _run(instruction.rest.replace(TARGET, str(target)), workplace, environment)
    return target


def _copy(rest: str, workplace: Path) -> None:
    *sources, destination = rest.split()
    for source in sources:
        if (ROOT / source).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / source, workplace / destination, ignore=ignored)
        else:
            shutil.copy(ROOT / source, workplace / destination)


def _run(command: str, workplace: Path, environment: dict[str, str]) -> None:
    run = subprocess.run(
        ["sh", "-ec", command],
        cwd=workplace, env=environment, capture_output=True, text=True, timeout=_LONGEST_COMMAND_S, check=False,
    )  # fmt: skip
    if run.returncode:
        raise BuildFailed(f"{command}: {run.stdout[-1000:]}{run.stderr[-2000:]}")


def read_environment(stage: list[Instruction]) -> dict[str, str]:
    """Return the variables that a stage sets, but for the search path."""
    pairs = [pair.partition("=") for line in stage if line.word == "ENV" for pair in line.rest.split()]
    return {key: value for key, _, value in pairs if key != "PATH"}


def list_copied(stage: list[Instruction]) -> Iterator[str]:
    """Yield what a stage copies out of the checkout."""
    for instruction in stage:
        if instruction.word == "COPY" and not instruction.rest.startswith("--from="):
            yield from instruction.rest.split()[:-1]
