"""Finds Helm 4, or builds it out of its Go module into the cache; `python -m tests.deploy.helm_binary` does so now."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.control_plane.build import get_cache as get_go_cache
from tests.control_plane.file_lock import lock
from tests.control_plane.toolchain import Go, Say, find_go
from tests.control_plane.unavailable import Unavailable

VERSION = "4.3.1"
_COMMAND = "helm.sh/helm/v4/cmd/helm"
_LONGEST_BUILD_S = 1200.0


def find_ready_helm() -> Path | None:
    """Return the Helm 4 that can be run at once: of the machine, else of the cache."""
    on_path = shutil.which("helm")
    for command in (*([Path(on_path)] if on_path else []), get_binary()):
        if _is_helm_4(command):
            return command
    return None


def find_helm(say: Say) -> Path:
    """Return a Helm 4, built when there is none yet.

    Raises
    ------
    Unavailable
        When there is none and none can be built.
    """
    ready = find_ready_helm()
    if ready is not None:
        return ready
    binary = get_binary()
    binary.parent.mkdir(parents=True, exist_ok=True)
    with lock(binary.parent / "lock", "helm", say):
        if not _is_helm_4(binary):
            go = find_go(get_go_cache(), say)
            say(f"helm: building {VERSION} with Go {go.version}, once; about 2 minutes on two cores")
            _build(go, binary)
    return binary


def get_cache() -> Path:
    """Return the folder outside the tree where Helm is kept."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "variant-autoscaler" / "helm"


def get_binary() -> Path:
    """Return where the Helm that is built here is kept."""
    return get_cache() / VERSION / "helm"


def _is_helm_4(command: Path) -> bool:
    try:
        answer = subprocess.run([command, "version"], capture_output=True, text=True, timeout=300.0, check=True)
    except (OSError, subprocess.SubprocessError):
        return False
    return re.search(r'\bVersion:"v4\.', answer.stdout) is not None


def _build(go: Go, binary: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="build-", dir=binary.parent) as folder:
        environment = {**os.environ, "CGO_ENABLED": "0", "GOBIN": folder, "GOFLAGS": "", "GOWORK": "off"}
        command = [str(go.command), "install", "-trimpath", "-ldflags", "-s -w", f"{_COMMAND}@v{VERSION}"]
        try:
            subprocess.run(
                command,
                env=environment,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=_LONGEST_BUILD_S,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as cause:
            said = getattr(cause, "stderr", None) or str(cause)
            raise Unavailable(f"helm {VERSION} cannot be built: {str(said).strip()[-500:]}") from cause
        os.replace(Path(folder) / "helm", binary)


def main() -> int:
    """Build what is missing, and print where it is."""
    try:
        print(find_helm(lambda line: print(line, flush=True)))
    except Unavailable as reason:
        print(f"helm: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
