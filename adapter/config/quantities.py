"""Text to numbers and back: "30s", "80Gi", "0.5", each with its unit. Pure; knows no field names and no YAML.

Every `parse_` function takes what a file holds (text, or a number that a JSON reader made) and raises `ValueError`
whose message is the bound that was missed, such as ``a duration with its unit, such as 30s``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

_SECONDS: Mapping[str, Decimal] = {
    unit: Decimal(seconds)
    for unit, seconds in {
        "ns": "1e-9",
        "us": "1e-6",
        "µs": "1e-6",  # micro sign
        "μs": "1e-6",  # Greek mu, which keyboards produce as often
        "ms": "1e-3",
        "s": "1",
        "m": "60",
        "h": "3600",
        "d": "86400",
    }.items()
}
_BYTES: Mapping[str, int] = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 1 << 10,
    "Mi": 1 << 20,
    "Gi": 1 << 30,
    "Ti": 1 << 40,
}
_DECIMAL = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_UNITS = "|".join(sorted(_SECONDS, key=len, reverse=True))
DURATION_PATTERN = rf"^(?:0|(?:{_DECIMAL}(?:{_UNITS}))+)$"
TIMESTAMP_PATTERN = r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)$"
SIZE_PATTERN = rf"^{_DECIMAL}(?:[kMGT]|[KMGT]i)?$"

DURATION_BOUND = "a duration with its unit, such as 250ms, 30s or 5m"
SIZE_BOUND = "a size in bytes, such as 16Mi or 80Gi"
NUMBER_BOUND = "a plain number"
TIMESTAMP_BOUND = "a date and time with its zone, such as 2027-01-31T18:00:00Z"
COUNT_BOUND = "a whole number"
FLAG_BOUND = "true or false"


def parse_duration_s(value: object) -> float:
    """Return a duration [s] from text such as ``250ms`` or ``1h30m``; a bare number other than 0 is refused."""
    text = _to_text(value, DURATION_BOUND)
    if re.fullmatch(r"0+(\.0*)?", text):
        return 0.0
    if re.fullmatch(rf"-(?:{_DECIMAL}(?:{_UNITS})?)+", text):
        raise ValueError(">= 0s")
    parts = re.findall(rf"({_DECIMAL})({_UNITS})", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(DURATION_BOUND)
    exact = sum((Decimal(number) * _SECONDS[unit] for number, unit in parts), Decimal(0))
    return _check_finite(float(exact), DURATION_BOUND)


def parse_size_bytes(value: object) -> float:
    """Return a size [bytes] from ``80Gi`` (powers of 1024), ``80G`` (powers of 1000) or a bare number of bytes."""
    found = re.fullmatch(rf"({_DECIMAL})([kMGT]|[KMGT]i)?", _to_text(value, SIZE_BOUND))
    if not found:
        raise ValueError(SIZE_BOUND)
    return _check_finite(float(found[1]) * _BYTES[found[2] or ""], SIZE_BOUND)


def parse_timestamp_s(value: object) -> float:
    """Return a moment [Unix s] from text such as ``2027-01-31T18:00:00Z`` (RFC 3339); its zone is needed."""
    text = _to_text(value, TIMESTAMP_BOUND)
    if not re.fullmatch(TIMESTAMP_PATTERN, text):
        raise ValueError(TIMESTAMP_BOUND)
    try:
        return datetime.fromisoformat(text.upper()).timestamp()
    except ValueError as cause:  # such as a 31st of February
        raise ValueError(TIMESTAMP_BOUND) from cause


def parse_number(value: object) -> float:
    """Return a finite number, in decimal or exponent form."""
    text = _to_text(value, NUMBER_BOUND)
    if not re.fullmatch(rf"[+-]?{_DECIMAL}", text):
        raise ValueError(NUMBER_BOUND)
    return _check_finite(float(text), NUMBER_BOUND)


def parse_ratio(value: object) -> float:
    """Return a number meant as a share of 1; a percentage is refused with what to write instead."""
    if isinstance(value, str) and re.fullmatch(rf"{_DECIMAL}\s*%", value.strip()):
        share = float(value.strip().rstrip("% ")) / 100
        raise ValueError(f"a ratio, written {_render_decimal(share)} rather than in percent")
    return parse_number(value)


def parse_count(value: object) -> int:
    """Return a whole number; ``3.0`` is refused as well as ``3.5``."""
    text = _to_text(value, COUNT_BOUND)
    if not re.fullmatch(r"[+-]?\d{1,18}", text):
        raise ValueError(COUNT_BOUND)
    return int(text)


def parse_flag(value: object) -> bool:
    """Return a truth value from ``true`` or ``false``; other words, such as ``yes``, are refused."""
    if isinstance(value, bool):
        return value
    if value in ("true", "True", "false", "False"):
        return value in ("true", "True")
    raise ValueError(FLAG_BOUND)


def render_duration(duration_s: float) -> str:
    """Return the shortest usual text of a duration [s], such as ``2m`` for 120."""
    if duration_s == 0:
        return "0"
    for unit in ("d", "h", "m", "s", "ms", "us"):
        amount = duration_s / float(_SECONDS[unit])
        if amount >= 1 and (unit in ("ms", "us", "s") or amount == int(amount)):
            return f"{_render_decimal(amount)}{unit}"
    return f"{_render_decimal(duration_s * 1e9)}ns"


def render_timestamp(time_s: float) -> str:
    """Return a moment [Unix s] as RFC 3339 in UTC, to the microsecond where it has a fraction."""
    return datetime.fromtimestamp(time_s, UTC).isoformat().replace("+00:00", "Z")


def render_size(size_bytes: float) -> str:
    """Return the text of a size [bytes] in the largest power of 1024 that divides it, such as ``16Mi``."""
    for unit in ("Ti", "Gi", "Mi", "Ki"):
        if size_bytes >= _BYTES[unit] and size_bytes % _BYTES[unit] == 0:
            return f"{_render_decimal(size_bytes / _BYTES[unit])}{unit}"
    return _render_decimal(size_bytes)


def _render_decimal(number: float) -> str:
    return f"{number:.12g}"


def _to_text(value: object, bound: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(bound)
    return str(value).strip()


def _check_finite(number: float, bound: str) -> float:
    if not math.isfinite(number):
        raise ValueError(bound)
    return number
