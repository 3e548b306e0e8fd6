"""Sources of other projects, out of their Go modules: fetched once by Go, read only. It builds nothing."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from tests.control_plane.build import get_cache
from tests.control_plane.go_runner import GoRunner
from tests.control_plane.toolchain import Say, find_go

KEDA = "github.com/kedacore/keda/v2@v2.21.0"
LEADER_WORKER_SET = "sigs.k8s.io/lws@v0.7.0"
AIBRIX = "github.com/vllm-project/aibrix@v0.7.0"
PROMETHEUS_ADAPTER = "sigs.k8s.io/prometheus-adapter@v0.12.0"


def fetch_module(module: str, say: Say) -> Path:
    """Return the folder with the source of `module`, such as ``example.org/name@v1.2.3``; nothing in it may be changed.

    Raises
    ------
    Unavailable
        When there is no Go, or the module is not at hand and cannot be fetched.
    """
    go = find_go(get_cache(), say)
    with tempfile.TemporaryDirectory(prefix="module-") as name:
        folder = Path(name)
        runner = GoRunner(go, folder, folder / "log", module, say)
        return Path(json.loads(runner.ask("mod", "download", "-json", module))["Dir"])
