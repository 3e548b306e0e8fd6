"""Our log, captured as the JSON objects it consists of."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from adapter.telemetry import configure_logging


class CapturedLog:
    """Everything logged so far; whatever is not valid JSON fails the test that reads it."""

    def __init__(self) -> None:
        self.text = io.StringIO()

    def read(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of `event`, oldest first."""
        lines = [json.loads(line, parse_constant=_refuse) for line in self.text.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]


@contextmanager
def capture_log() -> Iterator[CapturedLog]:
    """Yield the log, and put the logging of before back in place afterwards."""
    root, log = logging.getLogger(), CapturedLog()
    handlers, level = root.handlers[:], root.level
    configure_logging("info", log.text)
    try:
        yield log
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")
