"""Server processes: started, told apart when they do not come up, and gone when we are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.control_plane.server_process import NotStarted, ServerProcess

PARENT = """
import sys, time
from pathlib import Path
from tests.control_plane.server_process import ServerProcess
process = ServerProcess("sleeper", ["sleep", "600"], Path(sys.argv[1]), lambda: True)
process.start()
print(process.pid, flush=True)
time.sleep(600)
"""


def has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_it_starts_is_killed_and_starts_again(tmp_path: Path) -> None:
    process = ServerProcess("sleeper", ["sleep", "600"], tmp_path / "log", lambda: True)
    process.start()
    process.wait_until_ready()
    first = process.pid
    assert first is not None
    process.start()
    assert process.pid == first
    process.kill()
    assert has_ended(first)
    process.start()
    second = process.pid
    assert second is not None
    process.stop()
    assert has_ended(second)
    assert not process.is_running
    process.kill()


def test_one_that_ends_by_itself_is_reported_with_its_last_words(tmp_path: Path) -> None:
    process = ServerProcess("server", ["sh", "-c", "echo the port is taken; exit 1"], tmp_path / "log", lambda: False)
    process.start()
    with pytest.raises(NotStarted, match=r"server ended; the end of .*\nthe port is taken"):
        process.wait_until_ready()


def test_one_that_never_serves_is_reported(tmp_path: Path) -> None:
    process = ServerProcess("server", ["sleep", "600"], tmp_path / "log", lambda: False)
    process.start()
    with pytest.raises(NotStarted, match=r"server is not ready after 0\.1 s"):
        process.wait_until_ready(timeout_s=0.1)
    process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills the children of a process with it")
def test_it_is_gone_when_we_are_killed(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "log")], cwd=root, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline_s = time.monotonic() + 60.0
    while not has_ended(child):
        assert time.monotonic() < deadline_s, "the child lives on"
        time.sleep(0.02)
