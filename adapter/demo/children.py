"""Processes that a demo starts and always ends again: told to stop first, made to afterwards. It knows no demo."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from adapter.errors import Unreachable

_PATIENCE_S = 8.0  # wall time until a child that was told to stop is killed
_LAST_LINES = 15


class Child:
    """One child process.

    It runs in a session of its own, so that Ctrl-C reaches only us and the order of stopping is ours. Its standard
    input is a pipe that ends when we do.

    Parameters
    ----------
    name
        For messages.
    process
        The process.
    log
        Where its standard error goes.
    """

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self._process = process
        self._log = log
        self._ended = asyncio.create_task(process.wait())

    @classmethod
    async def start(cls, name: str, command: Sequence[str], log: Path) -> Child:
        """Start `command`; its standard error is appended to `log`."""
        with log.open("ab") as stderr:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
            )
        return cls(name, process, log)

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    async def read_line(self, timeout_s: float) -> str:
        """Return the next line of its standard output.

        Raises
        ------
        Unreachable
            When none comes within `timeout_s` [s of wall time], or the process ended.
        """
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), timeout_s)
        except TimeoutError as cause:
            raise Unreachable(f"{self.name} said nothing for {timeout_s:g} s") from cause
        if not line:
            await self._ended
            raise Unreachable(self.describe_end())
        return line.decode()

    async def wait(self) -> None:
        """Return when it has ended."""
        await asyncio.shield(self._ended)

    @property
    def has_ended(self) -> bool:
        """Whether it is gone."""
        return self._ended.done()

    def describe_end(self) -> str:
        """Return how it ended, with the last lines of its log."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
        return "\n    ".join([f"{self.name} ended with code {self._process.returncode}; its last words:", *lines])

    async def stop(self) -> None:
        """Tell it to stop, and kill its session when it does not within a few seconds; harmless when it is gone."""
        if not self.has_ended:
            self._signal(signal.SIGINT)
            try:
                await asyncio.wait_for(self.wait(), _PATIENCE_S)
            except TimeoutError:
                self._signal(signal.SIGKILL)
        await self._ended
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return
