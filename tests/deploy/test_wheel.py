"""The wheel in an environment of its own, made as the image is, run as a container would run it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from adapter import __version__
from tests.deploy.dockerfile import BuildFailed, replay_build
from tests.deploy.helm_binary import get_cache
from tests.deploy.sandbox import Sandbox, find_obstacle

pytestmark = pytest.mark.slow

PATIENCE_S = 180.0  # only ever reached when something is broken
CONFIG = """
listen: {pages: {port: 0}, external_metrics_http: {port: 0}, drain: 0}
accelerators: {L40S: {cost_per_hour: 0.79}}
service_classes: {interactive: {itl: 50ms}}
models: [{name: tiny-llama, variants: [{name: l40s, accelerator: L40S, pods: ["http://127.0.0.1:9"]}]}]
"""
OFFLINE = re.compile(r"NewConnectionError|Temporary failure in name resolution|Could not fetch URL|ConnectTimeout")


@pytest.fixture(scope="module")
def installed() -> Iterator[Path]:
    """Yield the environment; outside of /tmp, which the sandbox covers, and open to every user."""
    folder = Path(tempfile.mkdtemp(prefix="variant-autoscaler-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        yield replay_build(folder, get_cache().parent / "pip")
    except BuildFailed as failure:
        if OFFLINE.search(str(failure)) and os.environ.get("REQUIRE_CONTROL_PLANE") != "1":
            pytest.skip("no package registry can be reached")
        raise
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def sandbox(installed: Path) -> Sandbox:
    obstacle = find_obstacle()
    if obstacle is not None:
        if os.environ.get("REQUIRE_CONTROL_PLANE") == "1":
            pytest.fail(f"REQUIRE_CONTROL_PLANE=1, but there is no sandbox: {obstacle}", pytrace=False)
        pytest.skip(f"no sandbox: {obstacle}")
    return Sandbox(installed.parent, 100_000 + secrets.randbelow(1_000_000_000))


def _run(command: list[str]) -> str:
    run = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False, cwd="/")
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-4000:]
    return run.stdout


def test_it_knows_its_version_outside_of_the_checkout(installed: Path) -> None:
    assert _run([str(installed / "bin" / "variant-autoscaler"), "--version"]).strip() == (
        f"variant-autoscaler {__version__}"
    )


def test_it_brings_what_it_depends_on_and_no_tools_of_development(installed: Path) -> None:
    listed = _run([sys.executable, "-m", "pip", "--python", str(installed / "bin/python"), "list", "--format=json"])
    names = {entry["name"].lower().replace("_", "-") for entry in json.loads(listed)}
    assert {"variant-autoscaler", "aiohttp", "numpy", "scipy", "kubernetes-asyncio", "cryptography"} <= names
    assert not names & {"pytest", "mypy", "ruff", "setuptools", "pip"}


def test_it_holds_all_data_files_of_the_packages(installed: Path) -> None:
    (packages,) = installed.glob("lib/python*/site-packages")
    checkout = Path(__file__).resolve().parents[2]
    for package in ("adapter", "optimizer"):
        wanted = {
            path.relative_to(checkout)
            for path in (checkout / package).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        missing = {path for path in wanted if not (packages / path).is_file()}
        assert missing == set()


def test_another_user_plays_the_demo_on_a_read_only_root(sandbox: Sandbox, installed: Path) -> None:
    command = [str(installed / "bin/variant-autoscaler"), "demo", "--for", "40s", "--speed", "4", "--plain"]
    shown = _run(sandbox.wrap([*command, "--port", "0"]))
    assert "like for like" in shown


def test_the_sandbox_is_one(sandbox: Sandbox, installed: Path) -> None:
    script = (
        "import json, os, sys, adapter\n"
        "def writable(path):\n"
        "    try:\n"
        "        open(os.path.join(path, 'probe'), 'w').close()\n"
        "    except OSError:\n"
        "        return False\n"
        "    return True\n"
        "places = ['/', '/var/tmp', '/tmp', os.path.dirname(adapter.__file__)]\n"
        "print(json.dumps([os.getuid(), os.getgid(), [*filter(writable, places)], adapter.__file__]))"
    )
    uid, gid, places, where = json.loads(_run(sandbox.wrap([str(installed / "bin/python"), "-c", script])))
    assert (uid, gid) == (sandbox.uid, sandbox.uid)
    assert places == ["/tmp"]
    assert where.startswith(str(installed))


async def test_another_user_runs_it_on_a_read_only_root_until_it_is_asked_to_end(
    sandbox: Sandbox, installed: Path
) -> None:
    config = sandbox.folder / "config.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    command = [str(installed / "bin/variant-autoscaler"), "run", "--config", str(config)]
    process = await asyncio.create_subprocess_exec(*sandbox.wrap(command), stderr=asyncio.subprocess.PIPE, cwd="/")
    try:
        async with asyncio.timeout(PATIENCE_S):
            addresses = await _wait_for_start(process)
            async with aiohttp.ClientSession() as session, session.get(f"{addresses['pages']}/livez") as answer:
                assert answer.status == 200
            process.send_signal(signal.SIGTERM)
            _, rest = await process.communicate()
        assert process.returncode == 0, rest.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _wait_for_start(process: asyncio.subprocess.Process) -> dict[str, str]:
    assert process.stderr is not None
    seen = []
    async for line in process.stderr:
        seen.append(line.decode())
        if '"started"' in seen[-1]:
            addresses: dict[str, str] = json.loads(seen[-1])["addresses"]
            return addresses
    raise AssertionError("".join(seen))
