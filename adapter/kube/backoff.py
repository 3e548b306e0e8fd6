"""How long to wait before the next try: longer after each failure, not all callers at once. It does not wait itself."""

from __future__ import annotations

from hashlib import sha256

FIRST_S = 0.5
LONGEST_S = 10.0
FORGIVEN_S = 60.0


class Backoff:
    """Waits of ``min(first 2ⁿ, longest)``, of which a share between a half and the whole is kept, told by a hash.

    The spread is a function of `seed` and of how many waits were handed out, so that a run can be repeated, and callers
    with different seeds do not come back together.

    Parameters
    ----------
    seed
        Text that differs from caller to caller.
    first_s, longest_s
        Shortest and longest wait before the spread [s].
    forgiven_s
        After that long without a failure the next one counts as the first [s].
    """

    def __init__(
        self, seed: str, *, first_s: float = FIRST_S, longest_s: float = LONGEST_S, forgiven_s: float = FORGIVEN_S
    ) -> None:
        self._seed, self._first_s, self._longest_s, self._forgiven_s = seed, first_s, longest_s, forgiven_s
        self._failures, self._waits, self._free_s = 0, 0, 0.0

    def get_wait_s(self, now_s: float) -> float:
        """Return how long to wait [s] after a failure at `now_s` [s]."""
        if now_s - self._free_s >= self._forgiven_s:
            self._failures = 0
        wait_s: float = min(self._first_s * 2.0 ** min(self._failures, 60), self._longest_s)
        wait_s *= 0.5 + 0.5 * compute_spread_ratio(f"{self._seed} {self._waits}")
        self._failures += 1
        self._waits += 1
        self._free_s = now_s + wait_s
        return wait_s


def compute_spread_ratio(text: str) -> float:
    """Return a number in [0, 1) that depends on `text` alone and is evenly spread over different texts."""
    return int.from_bytes(sha256(text.encode()).digest()[:6]) / 2.0**48
