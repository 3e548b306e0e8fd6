"""A fast clock for the product, so that what it does every half minute or after some minutes is seen within seconds."""

from __future__ import annotations

import time
from dataclasses import dataclass

from adapter.kube.client import Json


@dataclass(frozen=True, slots=True)
class QuickClock:
    """A clock that several replicas share.

    Attributes
    ----------
    speed
        Its seconds in one of the wall.
    behind_s
        How far it is behind at first [s]: a certificate of tomorrow would not be valid today.
    """

    speed: float
    behind_s: float = 0.0

    def make(self) -> str:
        """Return the clock, which starts now, as ``run --clock`` takes it."""
        return f"{time.time() - self.behind_s},{self.speed},{time.monotonic()}"

    def make_config(self) -> Json:
        """Return the times of a configuration that are seconds of the wall."""
        return {
            "decision": {
                "period": self._render(1.0),
                "stale_after": self._render(5.0),
                "actuation_delay": self._render(1.0),
            },
            "publishing": {"max_decision_age": self._render(120.0)},
            "kubernetes": {
                "leader_election": {
                    "lease": self._render(12.0),
                    "renew": self._render(8.0),
                    "retry": self._render(1.0),
                }
            },
        }

    def _render(self, wall_s: float) -> str:
        return f"{wall_s * self.speed:g}s"
