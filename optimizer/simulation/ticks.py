"""Time inside the simulation in whole numbers: nanoseconds for events, finer ticks for iterations. Conversions only.

A sum of integers does not depend on its order, nor on how often it is taken: so k iterations at once end where k single
ones do, to the last bit and on every machine.

    1 tick = 2^-40 ns,   iteration times come in steps of 2^12 ticks,   factors on them in steps of 2^-12
"""

from __future__ import annotations

import math

NS_PER_S = 1_000_000_000
TICKS_PER_NS = 1 << 40
TICKS_PER_S = NS_PER_S * TICKS_PER_NS
FACTOR_ONE = 1 << 12
"""What stands for 1 among factors: a time in ticks, divided by it, stays whole."""


def to_ns(time_s: float) -> int:
    """Return the nanosecond nearest to `time_s` [s]."""
    return round(time_s * 1e9)


def to_s(time_ns: int) -> float:
    """Return `time_ns` in seconds; up to 26 days `to_ns` takes it back exactly."""
    return time_ns / NS_PER_S


def to_reaching_s(time_ns: int) -> float:
    """Return `time_ns` in seconds, or what follows it closest, so that `to_ns` makes of it no earlier time."""
    time_s = time_ns / NS_PER_S
    while to_ns(time_s) < time_ns:
        time_s = math.nextafter(time_s, math.inf)
    return time_s


def to_ticks(duration_s: float) -> int:
    """Return the multiple of 2^12 ticks nearest to `duration_s` [s]."""
    return round(duration_s * (TICKS_PER_S // FACTOR_ONE)) * FACTOR_ONE


def to_end_ns(time_ticks: int) -> int:
    """Return the first whole nanosecond at or after `time_ticks`."""
    return -(-time_ticks // TICKS_PER_NS)
