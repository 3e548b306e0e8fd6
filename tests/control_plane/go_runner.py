"""Runs Go in a folder, telling now and then that it is alive. What is built, and of what, its callers say."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.control_plane.toolchain import Go, Say
from tests.control_plane.unavailable import Unavailable

_PROGRESS_EVERY_S = 15.0
_LONGEST_BUILD_S = 2400.0


@dataclass(frozen=True, slots=True)
class GoRunner:
    """Runs Go.

    Attributes
    ----------
    go
        The toolchain.
    folder
        Where it runs.
    log
        Where what it says is appended.
    subject
        What it is run for, in words.
    say
        Is told of progress.
    """

    go: Go
    folder: Path
    log: Path
    subject: str
    say: Say

    def ask(self, *arguments: str) -> str:
        """Return what the command prints.

        Raises
        ------
        Unavailable
            When it fails, with the end of the log.
        """
        output = self.folder / "answer"
        with output.open("w", encoding="utf-8") as sink:
            self._run(arguments, sink.fileno())
        return output.read_text(encoding="utf-8")

    def run(self, *arguments: str) -> None:
        """Run the command.

        Raises
        ------
        Unavailable
            When it fails, with the end of the log.
        """
        with self.log.open("a", encoding="utf-8") as sink:
            self._run(arguments, sink.fileno())

    def _run(self, arguments: Sequence[str], output: int) -> None:
        started_s = time.monotonic()
        environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GOWORK": "off"}
        with self.log.open("a", encoding="utf-8") as errors:
            process = subprocess.Popen(
                [self.go.command, *arguments], cwd=self.folder, env=environment, stdout=output, stderr=errors
            )
            try:
                while process.poll() is None and time.monotonic() - started_s < _LONGEST_BUILD_S:
                    try:
                        process.wait(_PROGRESS_EVERY_S)
                    except subprocess.TimeoutExpired:
                        past_s = time.monotonic() - started_s
                        self.say(f"{self.subject}: go {' '.join(arguments[:2])} ... {past_s:.0f} s")
            finally:
                process.kill()
                process.wait()
        if process.returncode:
            end = "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
            raise Unavailable(f"go {' '.join(arguments[:2])} failed, end of {self.log}:\n{end}")
