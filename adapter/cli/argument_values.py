"""Values of arguments: text to what it means, or what is allowed, as argparse wants it said. It knows no option."""

from __future__ import annotations

import argparse

from adapter.config.quantities import parse_duration_s


def parse_duration(text: str) -> float:
    """Return a duration [s]."""
    try:
        return parse_duration_s(text)
    except ValueError as refusal:
        raise argparse.ArgumentTypeError(f"must be {refusal}, got {text}") from None


def parse_stretch(text: str) -> float:
    """Return a duration above zero [s]."""
    duration_s = parse_duration(text)
    if duration_s <= 0.0:
        raise argparse.ArgumentTypeError(f"must be > 0s, got {text}")
    return duration_s
