"""Builds the control plane out of its Go modules, once per version and cached; `python -m tests.control_plane.build`.

It starts nothing that it builds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.control_plane.file_lock import lock
from tests.control_plane.go_runner import GoRunner
from tests.control_plane.kubernetes_version import KubernetesVersion, read_wanted_version
from tests.control_plane.toolchain import OLDEST_GO, Go, Say, find_go
from tests.control_plane.unavailable import Unavailable

SOURCE = Path(__file__).with_name("program") / "main.go"
MODULE = "controlplane"
BINARY = "controlplane"
_NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
"""Of the commands, in the order of `Programs`."""
_RECIPE = "1"
"""Changes when the same source and version would be built in another way."""
_SUBJECT = "control plane"
_DISK_NEEDED_BYTES = 6_000_000_000


@dataclass(frozen=True, slots=True)
class Programs:
    """The commands of a control plane, each as the beginning of its command line.

    Attributes
    ----------
    etcd, kube_apiserver, kube_controller_manager, kubectl
        Commands.
    is_ours
        Whether etcd is the one of our program, which takes three arguments instead of flags.
    origin
        Where they come from, in words.
    """

    etcd: tuple[str, ...]
    kube_apiserver: tuple[str, ...]
    kube_controller_manager: tuple[str, ...]
    kubectl: tuple[str, ...]
    is_ours: bool
    origin: str


def find_programs(version: KubernetesVersion, say: Say) -> Programs:
    """Return the commands: those in ``KUBEBUILDER_ASSETS`` where given, else built now or earlier.

    Raises
    ------
    Unavailable
        When there is no way to have them.
    """
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets:
        return _take_assets(Path(assets))
    binary = str(build(version, say))
    return _make_programs([(binary, name) for name in _NAMES], is_ours=True, origin=f"built: {binary}")


def build(version: KubernetesVersion, say: Say) -> Path:
    """Return the program of `version`, built when the cache does not have it.

    Raises
    ------
    Unavailable
        When it is not there and cannot be built.
    """
    cache = get_cache()
    binary = get_binary(version)
    if binary.exists():
        return binary
    binary.parent.mkdir(parents=True, exist_ok=True)
    with lock(binary.parent / "lock", _SUBJECT, say):
        if not binary.exists():
            _check_disk(cache)
            _build(version, find_go(cache, say), binary, say)
    return binary


def get_cache() -> Path:
    """Return the folder outside the tree where built things are kept."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "variant-autoscaler" / "control-plane"


def get_binary(version: KubernetesVersion) -> Path:
    """Return where the program of `version` is kept: its folder tells version, source, recipe and generation of Go."""
    release = ".".join(str(part) for part in OLDEST_GO)
    inputs = b"\0".join((SOURCE.read_bytes(), _RECIPE.encode(), release.encode()))
    return get_cache() / f"{version}-{hashlib.sha256(inputs).hexdigest()[:12]}" / BINARY


def _take_assets(folder: Path) -> Programs:
    missing = [name for name in _NAMES if not os.access(folder / name, os.X_OK)]
    if missing:
        raise Unavailable(f"KUBEBUILDER_ASSETS={folder} holds no {', '.join(missing)}")
    return _make_programs([(str(folder / name),) for name in _NAMES], is_ours=False, origin=f"given: {folder}")


def _make_programs(commands: Iterable[tuple[str, ...]], *, is_ours: bool, origin: str) -> Programs:
    etcd, api_server, controllers, kubectl = commands
    return Programs(etcd, api_server, controllers, kubectl, is_ours, origin)


def _check_disk(cache: Path) -> None:
    free_bytes = shutil.disk_usage(cache).free
    if free_bytes < _DISK_NEEDED_BYTES:
        raise Unavailable(f"{cache} must have {_DISK_NEEDED_BYTES / 1e9:.0f} GB free, got {free_bytes / 1e9:.1f} GB")


def _build(version: KubernetesVersion, go: Go, binary: Path, say: Say) -> None:
    say(
        f"control plane: building Kubernetes {version} with Go {go.version}, once; "
        "6 to 10 minutes on two cores, less with a warm Go cache"
    )
    started_s = time.monotonic()
    log = binary.parent / "build.log"
    log.write_text("", encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="build-", dir=binary.parent) as name:
        folder = Path(name)
        shutil.copy(SOURCE, folder)
        runner = GoRunner(go, folder, log, _SUBJECT, say)
        _write_module(runner, version)
        flags = f"-s -w -X k8s.io/component-base/version.gitVersion=v{version}"
        runner.run("build", "-trimpath", "-ldflags", flags, "-o", BINARY)
        os.replace(folder / BINARY, binary)
    say(f"control plane: built in {time.monotonic() - started_s:.0f} s: {binary}")


def _write_module(runner: GoRunner, version: KubernetesVersion) -> None:
    """Write go.mod: Kubernetes asks for its parts as v0.0.0 and replaces them itself, which counts only at home."""
    runner.run("mod", "init", MODULE)
    module = runner.ask("mod", "download", "-json", f"k8s.io/kubernetes@v{version}")
    parts = _list_parts(Path(json.loads(module)["GoMod"]).read_text(encoding="utf-8"))
    edits = [f"-replace={part}={part}@{version.parts_version}" for part in parts]
    runner.run("mod", "edit", f"-require=k8s.io/kubernetes@v{version}", *edits)
    runner.run("mod", "tidy")


def _list_parts(module: str) -> list[str]:
    words = [line.split() for line in module.splitlines()]
    return sorted(
        {line[0] for line in words if len(line) >= 2 and line[0].startswith("k8s.io/") and line[1] == "v0.0.0"}
    )


def main() -> int:
    """Build what is missing, and print where it is."""
    parser = argparse.ArgumentParser(description="Builds the control plane that tests/control_plane runs against.")
    parser.add_argument("versions", nargs="*", default=[str(read_wanted_version())], help="such as 1.37.0")
    try:
        for version in parser.parse_args().versions:
            print(build(KubernetesVersion.parse(version), lambda line: print(line, flush=True)))
    except Unavailable as reason:
        print(f"control plane: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
