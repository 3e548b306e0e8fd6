"""Values of the arguments of `variant-autoscaler simulate`: text to what it means, or what is allowed."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from adapter.config.problems import suggest
from adapter.simulation.names import FLEETS, POLICIES, TRACES

Value = TypeVar("Value")


def parse_policy(text: str) -> tuple[str, ...]:
    """Return the one policy that is named."""
    if text not in POLICIES:
        raise argparse.ArgumentTypeError(f"must be a policy that is known, got {text}{suggest(text, POLICIES)}")
    return (text,)


def parse_policies(text: str) -> tuple[str, ...]:
    """Return the policies that are named, each once, or all of them."""
    if text == "all":
        return tuple(POLICIES)
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("must name policies, such as slo,hpa_queue")
    return tuple(dict.fromkeys(name for text in names for name in parse_policy(text)))


def parse_trace(text: str) -> str:
    """Return the name of a built-in trace, or of a file that exists."""
    if text not in TRACES and not Path(text).is_file():
        hint = "" if Path(text).suffix in (".csv", ".gz") else suggest(text, TRACES)
        raise argparse.ArgumentTypeError(f"must be a built-in trace or a file that exists, got {text}{hint}")
    return text


def parse_fleet(text: str) -> str:
    """Return the name of a built-in fleet."""
    if text not in FLEETS:
        raise argparse.ArgumentTypeError(f"must be a built-in fleet, got {text}{suggest(text, FLEETS)}")
    return text


def parse_factor(text: str) -> float:
    """Return a number above 0, up to 1000."""
    factor = _to_number(text)
    if not 0.0 < factor <= 1000.0:
        raise argparse.ArgumentTypeError(f"must be a number above 0, up to 1000, got {text}")
    return factor


def parse_ratio(text: str) -> float:
    """Return a share from 0 to 0.99."""
    ratio = _to_number(text)
    if not 0.0 <= ratio <= 0.99:
        raise argparse.ArgumentTypeError(f"must be a share from 0 to 0.99, got {text}")
    return ratio


def parse_count(text: str) -> int:
    """Return a whole number >= 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number >= 0, got {text}")
    return int(text)


def parse_weights(text: str) -> dict[str, float]:
    """Return weights >= 0 by name, from text such as ``chat=0.7,batch=0.3``."""
    return _parse_pairs(text, "a weight >= 0", _to_weight)


def parse_counts(text: str) -> dict[str, int]:
    """Return whole numbers >= 1 by name, from text such as ``H100=8,A100=4``."""
    return _parse_pairs(text, "a whole number >= 1", _to_count)


def parse_new_file(text: str) -> Path:
    """Return the path of a file that can be written, as far as its folder exists."""
    path = Path(text)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"must be a file in a folder that exists, got {text}")
    return path


def parse_picture(text: str) -> Path:
    """Return the path of a picture that can be written: its name ends in .svg, which is what is drawn."""
    path = parse_new_file(text)
    if path.suffix.lower() != ".svg":
        raise argparse.ArgumentTypeError(f"must end in .svg, for an SVG is drawn, got {text}")
    return path


def _parse_pairs(text: str, meant: str, to_value: Callable[[str], Value | None]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for pair in text.split(","):
        name, equals, number = (part.strip() for part in pair.rpartition("="))
        value = to_value(number)
        if not equals or not name or value is None or name in found:
            raise argparse.ArgumentTypeError(f"must be NAME=N,NAME=N with names once and {meant} each, got {text}")
        found[name] = value
    return found


def _to_weight(text: str) -> float | None:
    weight = _to_number(text)
    return weight if 0.0 <= weight < math.inf else None


def _to_count(text: str) -> int | None:
    return int(text) if text.isdecimal() and int(text) >= 1 else None


def _to_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
