"""Child processes always end: when told, when they do not listen, and when whoever started them is gone."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapter.demo import children
from adapter.demo.children import Child
from adapter.errors import Unreachable
from tests.builders.stepped_clock import until

LISTENING = """
import signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
print("ready", flush=True)
time.sleep(600)
"""
DEAF = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(grandchild.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
async def started(tmp_path: Path) -> AsyncIterator[list[Child]]:
    found: list[Child] = []
    yield found
    for child in found:
        if not child.has_ended:
            os.killpg(child.pid, signal.SIGKILL)
            await child.wait()


async def start(started: list[Child], tmp_path: Path, program: str) -> Child:
    child = await Child.start("helper", [sys.executable, "-c", program], tmp_path / "log")
    started.append(child)
    return child


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


async def test_a_child_that_listens_ends_when_told(started: list[Child], tmp_path: Path) -> None:
    child = await start(started, tmp_path, LISTENING)
    assert await child.read_line(120.0) == "ready\n"
    await child.stop()
    assert child.has_ended
    await child.stop()


async def test_a_child_that_does_not_listen_is_killed_with_all_its_own(
    started: list[Child], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "_PATIENCE_S", 0.05)
    child = await start(started, tmp_path, DEAF)
    grandchild = int(await child.read_line(120.0))
    await child.stop()
    assert child.has_ended
    await until(lambda: not is_alive(grandchild))


async def test_a_child_that_dies_leaves_its_last_words(started: list[Child], tmp_path: Path) -> None:
    child = await start(started, tmp_path, "import sys; sys.exit('out of luck')")
    with pytest.raises(Unreachable, match=r"ended with code 1(.|\n)*out of luck"):
        await child.read_line(120.0)


async def test_patience_with_a_silent_child_is_bounded(started: list[Child], tmp_path: Path) -> None:
    child = await start(started, tmp_path, "import time; time.sleep(600)")
    with pytest.raises(Unreachable, match="said nothing"):
        await child.read_line(0.05)
