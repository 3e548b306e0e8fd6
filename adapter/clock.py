"""The only reader of time: a clock all processes share, which may run faster than the wall. Nothing else is touched."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits; all times are Unix seconds of *its* world."""

    @property
    def speed(self) -> float:
        """How much faster than the wall it runs, > 0."""
        ...

    def now_s(self) -> float:
        """Return the present time [s]."""
        ...

    async def sleep(self, duration_s: float) -> None:
        """Wait for `duration_s` [s] of this clock; not at all when it is not positive."""
        ...

    async def sleep_until(self, time_s: float) -> None:
        """Wait until this clock shows `time_s` [s]."""
        ...


@dataclass(frozen=True, slots=True)
class ScaledClock:
    """``now = start_s + speed * (monotonic - wall_start_s)``: three numbers that any process can be told.

    Attributes
    ----------
    start_s
        What the clock shows at its origin [Unix s].
    speed
        How much faster than the wall it runs, > 0; 1 is real time.
    wall_start_s
        Reading of the system-wide monotonic clock at the origin [s]; equal for all processes of one machine.
    """

    start_s: float
    speed: float
    wall_start_s: float

    @classmethod
    def starting_now(cls, speed: float = 1.0) -> ScaledClock:
        """Return a clock that shows the present wall time and runs `speed` times as fast."""
        return cls(time.time(), speed, time.monotonic())

    def now_s(self) -> float:
        """Return the present time of this clock [s]."""
        return self.start_s + self.speed * (time.monotonic() - self.wall_start_s)

    async def sleep(self, duration_s: float) -> None:
        """Wait for `duration_s` [s] of this clock."""
        await asyncio.sleep(max(duration_s, 0.0) / self.speed)

    async def sleep_until(self, time_s: float) -> None:
        """Wait until this clock shows `time_s` [s]."""
        await self.sleep(time_s - self.now_s())


def read_wall_s() -> float:
    """Return the monotonic wall clock [s], for measuring how long our own work takes."""
    return time.monotonic()
