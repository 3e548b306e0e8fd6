"""One long-running server process: started, killed, started again, and gone when we are, whatever happens to us.

It knows nothing of Kubernetes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

LEASH = Path(__file__).with_name("leash.py")
_POLL_S = 0.05
_LAST_LINES = 25


class NotStarted(Exception):
    """A process ended, or was not ready in time; the message carries the end of its log."""


class ServerProcess:
    """One server.

    Parameters
    ----------
    name
        For messages.
    command
        What runs.
    log
        Where its output is appended.
    is_ready
        Asks the server whether it serves; must answer at once, and False rather than raise.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path, is_ready: Callable[[], bool]) -> None:
        self.name = name
        self.log = log
        self._command = tuple(command)
        self._is_ready = is_ready
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        """Whether the process exists."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Number of the process, None when it does not run."""
        return self._process.pid if self._process is not None and self.is_running else None

    def start(self) -> None:
        """Start it without waiting; harmless when it runs. To be called from the main thread, which it dies with."""
        if self.is_running:
            return
        command = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), *self._command]
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    def wait_until_ready(self, timeout_s: float = 120.0) -> None:
        """Return when it serves.

        Raises
        ------
        NotStarted
            When it ends, or is not ready within `timeout_s` [s].
        """
        deadline_s = time.monotonic() + timeout_s
        while not self._is_ready():
            if not self.is_running:
                raise NotStarted(f"{self.name} ended; the end of {self.log}:\n{self.read_end()}")
            if time.monotonic() >= deadline_s:
                raise NotStarted(
                    f"{self.name} is not ready after {timeout_s:g} s; the end of {self.log}:\n{self.read_end()}"
                )
            time.sleep(_POLL_S)

    def kill(self) -> None:
        """End it at once; harmless when it does not run."""
        self._end(signal.SIGKILL, patience_s=60.0)

    def stop(self, patience_s: float = 60.0) -> None:
        """Ask it to end, and kill it when it does not within `patience_s` [s]."""
        self._end(signal.SIGTERM, patience_s)
        self.kill()

    def pause(self) -> None:
        """Freeze it: it stays, keeps its connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it run on."""
        self._signal(signal.SIGCONT)

    def read_end(self, lines: int = _LAST_LINES) -> str:
        """Return the last lines of its log."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def _end(self, number: signal.Signals, patience_s: float) -> None:
        if self._process is None:
            return
        self._signal(number)
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            return

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
