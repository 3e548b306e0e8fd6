"""Runs a command as a container would: as another user, nothing writable but /tmp, the checkout out of sight.

It takes Linux and root.
Mounts are made in a namespace of the command's own, and are gone with it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.deploy.chart import ROOT
from tests.deploy.dockerfile import read_environment, read_stages

_UNSHARE = ("unshare", "--mount", "--propagation", "private", "--")


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A place for commands.

    Attributes
    ----------
    folder
        A folder that every user may read, outside of what is hidden; it holds what is run.
    uid
        Number of the user and the group, with no entry in any list of users.
    """

    folder: Path
    uid: int

    def wrap(self, command: Sequence[str]) -> list[str]:
        """Return the command that runs `command` in here, from the root folder and with the image's environment."""
        python = Path(sys.base_prefix)
        hidden = [place for place in (_find_closed_parent(python), ROOT) if place is not None]
        held = self.folder / "python"
        held.mkdir(exist_ok=True)
        lines = ["set -e", f"mount --bind {_quote(python)} {_quote(held)}"]
        lines += [f"mount -t tmpfs -o mode=755 none {_quote(place)}" for place in hidden]
        lines += [f"mkdir -p {_quote(python)}", f"mount --bind {_quote(held)} {_quote(python)}"]
        lines += [f"mount -o remount,bind,ro {_quote(place)}" for place in hidden]
        lines += ["mount -t tmpfs -o mode=1777,size=64m none /tmp", "mount -o remount,bind,ro /", "cd /"]
        numbers = f"--reuid {self.uid} --regid {self.uid} --clear-groups"
        rights = "--no-new-privs --inh-caps=-all --bounding-set=-all"
        variables = shlex.join(f"{key}={value}" for key, value in read_environment(read_stages()[-1]).items())
        lines.append(f"exec setpriv {numbers} {rights} env -i {variables} {shlex.join(command)}")
        return [*_UNSHARE, "sh", "-c", "\n".join(lines)]


def _find_closed_parent(path: Path) -> Path | None:
    """Return the highest folder above `path` that other users cannot enter."""
    for parent in reversed(path.parents):
        if not parent.stat().st_mode & 0o001:
            return parent
    return None


def _quote(path: Path) -> str:
    return shlex.quote(str(path))


@cache
def find_obstacle() -> str | None:
    """Return why no sandbox can be had here, None where it can."""
    missing = [name for name in ("unshare", "setpriv", "mount") if shutil.which(name) is None]
    if missing:
        return f"no {', '.join(missing)} here"
    if os.geteuid() != 0:
        return "only root can take the place of another user"
    probe = subprocess.run(
        [*_UNSHARE, "mount", "-t", "tmpfs", "none", "/tmp"], capture_output=True, text=True, timeout=300.0, check=False
    )
    return None if probe.returncode == 0 else f"no mounts here: {probe.stderr.strip()}"
