"""Streams of chance of a run: one per purpose and subject, so that runs that differ in one thing share all the others.

Whatever a scaler does, the same replica by number takes the same time to start, and the same round loses the same page.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a stream is for."""

    STARTUP = 1
    ENGINE = 2
    PAGES = 3
    JITTER = 4
    SYNC = 5
    GATEWAY = 6


def make_stream(seed: int, purpose: Purpose, *subject: int) -> np.random.Generator:
    """Return the stream of `subject`, some whole numbers >= 0, for `purpose` in the run of `seed`, >= 0."""
    return np.random.default_rng((seed, int(purpose), *subject))
