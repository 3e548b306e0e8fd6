"""Unit conversions, each done once, at a door; inside everything is in seconds, tokens, bytes, ratios, per hour.

This module imports nothing.
"""

SECONDS_PER_HOUR = 3600.0
SECONDS_PER_MILLISECOND = 1e-3
SECONDS_PER_MICROSECOND = 1e-6
BYTES_PER_GIB = float(1 << 30)


def to_cost(cost_per_hour: float, duration_s: float) -> float:
    """Return what `cost_per_hour` [currency/h] costs over `duration_s` [s], in currency."""
    return cost_per_hour * duration_s / SECONDS_PER_HOUR
