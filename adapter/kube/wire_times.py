"""Times as the Kubernetes API writes them (RFC 3339, MicroTime) to Unix seconds and back. Text only; reads no clock."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from adapter.errors import BadDocument

_RFC_3339 = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})[Tt](?P<hour>\d{2}):(?P<minute>\d{2}):(?P<second>\d{2})(?P<fraction>\.\d+)?"
    r"(?:[Zz]|(?P<sign>[+-])(?P<ahead_h>\d{2}):(?P<ahead_min>\d{2}))",
    re.ASCII,
)
_LATEST_S = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()


def parse_time_s(text: object) -> float:
    """Return the Unix time [s] that an RFC 3339 text names, such as ``2026-11-21T05:33:34.25+01:00``.

    A leap second counts as the first of the next minute, as Unix time has it.

    Raises
    ------
    BadDocument
        For everything else; a time without its offset from UTC is refused as well.
    """
    found = _RFC_3339.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise BadDocument(f"must be a time such as 2026-11-21T05:33:34Z, got {text!r}")
    second = int(found["second"])
    try:
        ahead = timedelta(hours=int(found["ahead_h"] or 0), minutes=int(found["ahead_min"] or 0))
        zone = timezone(-ahead if found["sign"] == "-" else ahead)
        shown = datetime.fromisoformat(f"{found['day']}T{found['hour']}:{found['minute']}:{min(second, 59):02}")
        whole_s = shown.replace(tzinfo=zone).timestamp()
    except (ValueError, OverflowError) as cause:
        raise BadDocument(f"must be a time that exists, got {text!r}: {cause}") from cause
    if second > 60:
        raise BadDocument(f"must be a time that exists, got {text!r}")
    return whole_s + (second - min(second, 59)) + float(found["fraction"] or 0.0)


def render_time(time_s: float) -> str:
    """Return the text of a Unix time [s] in whole seconds, rounded down, as ``metav1.Time`` is written."""
    return _to_utc(time_s).strftime("%Y-%m-%dT%H:%M:%SZ")


def render_micro_time(time_s: float) -> str:
    """Return the text of a Unix time [s] to the nearest microsecond, as ``metav1.MicroTime`` is written."""
    return _to_utc(round(time_s * 1e6) / 1e6).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _to_utc(time_s: float) -> datetime:
    return datetime.fromtimestamp(min(max(time_s, 0.0), _LATEST_S), UTC)
