"""Builds KEDA's operator and metrics adapter out of its Go module, once and cached; `python -m tests.keda.build`.

It starts nothing that it builds.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.control_plane import build as control_plane
from tests.control_plane.file_lock import lock
from tests.control_plane.go_runner import GoRunner
from tests.control_plane.toolchain import OLDEST_GO, Say, find_go
from tests.control_plane.unavailable import Unavailable
from tests.keda.modules import KEDA, fetch_module

COMMANDS = {"keda": "./cmd/operator", "keda-adapter": "./cmd/adapter"}
"""Names as in its images, for what is written to a cluster carries them; and where each is built."""

_RECIPE = "1"
"""Changes when the same source would be built in another way."""
_SUBJECT = "KEDA"


@dataclass(frozen=True, slots=True)
class KedaPrograms:
    """What KEDA consists of.

    Attributes
    ----------
    operator, adapter
        Commands.
    config
        Folder of the objects it is installed with.
    """

    operator: Path
    adapter: Path
    config: Path


def find_keda(say: Say) -> KedaPrograms:
    """Return KEDA, built now or earlier.

    Raises
    ------
    Unavailable
        When it cannot be had.
    """
    source, folder = fetch_module(KEDA, say), get_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with lock(folder / "lock", _SUBJECT, say):
        missing = [name for name in COMMANDS if not (folder / name).exists()]
        if missing:
            _build(source, folder, missing, say)
    return KedaPrograms(folder / "keda", folder / "keda-adapter", source / "config")


def get_folder() -> Path:
    """Return where the programs are kept: its name tells version, recipe and generation of Go."""
    release = ".".join(str(part) for part in OLDEST_GO)
    inputs = b"\0".join((KEDA.encode(), _RECIPE.encode(), release.encode()))
    version = KEDA.rpartition("@v")[2]
    return control_plane.get_cache().parent / "keda" / f"{version}-{hashlib.sha256(inputs).hexdigest()[:12]}"


def _build(source: Path, folder: Path, names: list[str], say: Say) -> None:
    go = find_go(control_plane.get_cache(), say)
    say(f"{_SUBJECT}: building {KEDA} with Go {go.version}, once; 6 to 7 minutes on two cores")
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="build-", dir=folder) as name:
        # Modules are read only, and Go wants to note in go.mod what it finds.
        copied = Path(name) / "source"
        shutil.copytree(source, copied, copy_function=shutil.copyfile)
        for path in (copied, *(path for path in copied.rglob("*") if path.is_dir())):
            path.chmod(0o755)
        runner = GoRunner(go, copied, folder / "build.log", _SUBJECT, say)
        for command in names:
            runner.run("build", "-trimpath", "-ldflags", "-s -w", "-o", f"../{command}", COMMANDS[command])
            os.replace(Path(name) / command, folder / command)
    say(f"{_SUBJECT}: built in {time.monotonic() - started_s:.0f} s: {folder}")


def main() -> int:
    """Build what is missing, and print where it is."""
    try:
        programs = find_keda(lambda line: print(line, flush=True))
    except Unavailable as reason:
        print(f"{_SUBJECT}: {reason}", file=sys.stderr)
        return 1
    print(programs.operator, programs.adapter, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
