"""Keeping the memory of deciding: in this process, or as a file that is replaced whole. It knows no other place."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from adapter.errors import Refused
from optimizer import State, decode_state, encode_state
from optimizer.domain import Reason, ReasonCode


class MemoryStateStore:
    """Keeps the state as long as the process lives."""

    def __init__(self) -> None:
        self._state = State()

    async def load(self) -> tuple[State, tuple[Reason, ...]]:
        """Return the state kept last."""
        return self._state, ()

    async def save(self, state: State) -> None:
        """Keep `state`."""
        self._state = state


class FileStateStore:
    """Keeps the state as a JSON document at `path`.

    The file is written beside and then renamed, so that a reader, or a start after a crash, finds either the old state
    or the new one, whole.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def load(self) -> tuple[State, tuple[Reason, ...]]:
        """Return the state of the file; fresh without a reason where there is no file, with one where it is broken."""
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return State(), ()
        except (OSError, ValueError, RecursionError) as cause:
            message = f"state begins afresh: {self._path}: {type(cause).__name__}: {cause}"
            return State(), (Reason(ReasonCode.STATE_LOST, message),)
        return decode_state(document)

    async def save(self, state: State) -> None:
        """Replace the file.

        Raises
        ------
        Refused
            When the file system says no.
        """
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        try:
            with fresh.open("w", encoding="utf-8") as file:
                json.dump(encode_state(state), file, allow_nan=False)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
        except OSError as cause:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise Refused(f"state not kept: {self._path}: {cause.strerror or cause}") from cause
