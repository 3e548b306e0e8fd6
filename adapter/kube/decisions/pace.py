"""A pace for writes that can wait: so many at once, so many a second after that. It writes nothing."""

from __future__ import annotations


class WritePace:
    """A bucket of `burst` writes that fills at `writes_per_s` [1/s].

    Parameters
    ----------
    writes_per_s
        How many a second in the long run, > 0.
    burst
        How many at once after a quiet time, >= 1.
    """

    def __init__(self, writes_per_s: float = 0.4, burst: int = 20) -> None:
        self._writes_per_s, self._burst = writes_per_s, float(burst)
        self._left = float(burst)
        self._seen_s: float | None = None

    def take(self, now_s: float) -> bool:
        """Return whether one more may be written at `now_s` [s], and count it then."""
        if self._seen_s is not None:
            self._left = min(self._left + max(now_s - self._seen_s, 0.0) * self._writes_per_s, self._burst)
        self._seen_s = now_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
