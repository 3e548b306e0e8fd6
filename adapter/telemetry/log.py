"""Structured log lines: one JSON object a line, on standard error, always valid JSON. No metrics here."""

from __future__ import annotations

import json
import logging
import math
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

_LOGGER = logging.getLogger("variant_autoscaler")


class _JsonFormatter(logging.Formatter):
    """Renders a record and its fields as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(_to_json(line), ensure_ascii=False, allow_nan=False, default=str)


def configure_logging(level: str = "info", stream: TextIO | None = None) -> None:
    """Send our log, and what libraries warn about, to `stream` (standard error) from `level` on."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    _LOGGER.setLevel(level.upper())


def log_event(event: str, *, level: str = "info", exception: BaseException | None = None, **fields: object) -> None:
    """Write one line: `event` names what happened, `fields` carry the figures (null where not finite)."""
    _LOGGER.log(logging.getLevelNamesMapping()[level.upper()], event, exc_info=exception, extra={"fields": fields})


def _to_json(value: object) -> object:
    """Return `value` with everything that JSON cannot say replaced by null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _to_json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(entry) for entry in value]
    return value
