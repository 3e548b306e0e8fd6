"""The adapter as its user runs it: its own process, from a configuration file. It knows nothing of what it says."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.engine.environment import read_end
from tests.engine.failures import AdapterFailure

COMMAND = Path(sys.executable).with_name("variant-autoscaler")
STOPS_WITHIN_S = 15.0


@dataclass(slots=True)
class AdapterProcess:
    """`variant-autoscaler run` with the file `config`; its output goes to `log`."""

    config: Path
    port: int
    log: Path
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def decisions_url(self) -> str:
        """Where it tells its decisions."""
        return f"http://127.0.0.1:{self.port}/v1/decisions"

    def start(self) -> None:
        """Start it.

        Raises
        ------
        AdapterFailure
            When there is no such command.
        """
        if not COMMAND.exists():
            raise AdapterFailure(f"{COMMAND} must exist: install the project into its environment (make does it)")
        with self.log.open("wb") as sink:
            self._process = subprocess.Popen(
                [str(COMMAND), "run", "--config", str(self.config)], stdout=sink, stderr=subprocess.STDOUT
            )

    def check_alive(self) -> None:
        """Raise AdapterFailure, with the end of its log, when it is not running."""
        if self._process is None or self._process.poll() is not None:
            raise AdapterFailure(f"the adapter ended by itself. End of {self.log}:\n{read_end(self.log, 30)}")

    def stop(self) -> None:
        """Ask it to end, and end it when it does not."""
        if self._process is None:
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOPS_WITHIN_S)
        self._process.kill()
        self._process.wait()
        self._process = None
