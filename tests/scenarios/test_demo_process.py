"""The demo as people start it: it comes up, shows itself, ends with a summary, and never leaves a process behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PATIENCE_S = 240.0
TRIES = 10

pytestmark = pytest.mark.slow


class Demo:
    """One `variant-autoscaler demo`, with its output in a file."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.output = folder / "output.txt"
        self.json_file = folder / "summary.json"
        command = [sys.executable, "-m", "adapter", "demo", "--json", str(self.json_file), "--port", "0", *options]
        with self.output.open("wb") as stream:
            self.process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True)

    @property
    def text(self) -> str:
        return self.output.read_text()

    def wait_for(self, condition: Callable[[], object]) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline_s, self.text
            assert self.process.poll() is None, self.text
            time.sleep(0.05)

    def wait_until_it_plays(self) -> list[int]:
        """Wait for the first table; return the processes it started."""
        self.wait_for(lambda: "of demo time" in self.text)
        found = find_children(self.process.pid)
        assert len(found) == 2, self.text
        return found

    def wait_for_end(self, timeout_s: float = PATIENCE_S) -> int:
        return self.process.wait(timeout_s)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    started: list[Demo] = []

    def make(*options: str) -> Demo:
        started.append(Demo(tmp_path, *options))
        return started[-1]

    yield make
    for demo in started:
        if demo.process.poll() is None:
            for pid in (*find_children(demo.process.pid), demo.process.pid):
                os.kill(pid, signal.SIGKILL)
            demo.process.wait()


def read_stat(pid: str) -> list[str]:
    """Return state, parent and the rest of what the kernel says of a process; [] when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def find_children(pid: int) -> list[int]:
    pids = [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [int(child) for child in pids if (stat := read_stat(child)) and int(stat[1]) == pid]


def is_alive(pid: int) -> bool:
    stat = read_stat(str(pid))
    return bool(stat) and stat[0] != "Z"


def wait_until_gone(pids: list[int], timeout_s: float = PATIENCE_S) -> None:
    deadline_s = time.monotonic() + timeout_s
    while alive := [pid for pid in pids if is_alive(pid)]:
        assert time.monotonic() < deadline_s, f"left behind: {alive}"
        time.sleep(0.05)


def test_it_plays_for_as_long_as_it_is_told_and_ends_with_a_summary(start: Callable[..., Demo]) -> None:
    demo = start("--for", "90s", "--speed", "4")
    children = demo.wait_until_it_plays()
    assert demo.wait_for_end() == 0, demo.text
    wait_until_gone(children)
    for command in (
        "/metrics/default/",
        "/v1/decisions",
        "/apis/external.metrics.k8s.io",
        "/inventory",
        "/v1/completions",
    ):
        assert "curl -s" in demo.text
        assert command in demo.text
    for line in ("our mix, measured", "our mix, replayed", "like for like", "homogeneous in hindsight", "static peak"):
        assert line in demo.text
    summary = json.loads(demo.json_file.read_text())
    assert summary["requests_judged"] > 100
    assert summary["requests_met"] / summary["requests_judged"] > 0.5  # a machine that stands still costs some
    assert summary["cost"] > 0.0
    assert {entry["reason"] for entry in summary["decisions"]} - {"FirstReading"}
    assert not any(count for model in summary["models"] for fate, count in model["fates"].items() if fate == "failed")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_it_in_order_with_a_summary(start: Callable[..., Demo], number: signal.Signals) -> None:
    demo = start("--scenario", "step", "--model", "llama-8b")
    children = demo.wait_until_it_plays()
    demo.process.send_signal(number)
    assert demo.wait_for_end() == 0, demo.text
    assert "Summary:" in demo.text
    wait_until_gone(children)


def test_ctrl_c_while_it_starts_leaves_nothing_behind(start: Callable[..., Demo]) -> None:
    for _ in range(TRIES):
        demo = start()
        demo.wait_for(lambda: "starting the fleet" in demo.text)  # noqa: B023 - called at once
        children = find_children(demo.process.pid)
        demo.process.send_signal(signal.SIGINT)
        assert demo.wait_for_end() == 0, demo.text
        wait_until_gone(children)
        if "Summary:" not in demo.text:  # else it had started before we came to it
            break
    assert "stopped before it began" in demo.text


def test_killing_it_ends_what_it_started(start: Callable[..., Demo]) -> None:
    demo = start("--model", "llama-8b")
    children = demo.wait_until_it_plays()
    demo.process.kill()
    demo.process.wait()
    wait_until_gone(children)


@pytest.mark.parametrize("victim", ["demo-fleet", "run"])
def test_a_part_that_dies_ends_the_demo_with_a_message(start: Callable[..., Demo], victim: str) -> None:
    demo = start("--model", "llama-8b")
    children = demo.wait_until_it_plays()
    words = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in children}
    os.kill(next(pid for pid, command in words.items() if victim.encode() in command), signal.SIGKILL)
    assert demo.wait_for_end() == 1, demo.text
    assert f"{'fleet' if victim == 'demo-fleet' else 'adapter'} ended with code -9" in demo.text
    wait_until_gone(children)


def test_a_wrong_option_is_refused_before_anything_starts(start: Callable[..., Demo]) -> None:
    demo = start("--speed", "0")
    assert demo.wait_for_end() == 2
    assert "must be a number > 0, got 0" in demo.text
