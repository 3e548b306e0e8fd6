"""Round robin: each replica in turn, whatever its load. It looks at no load."""

from __future__ import annotations

from collections.abc import Sequence

from optimizer.routing.rule import check_replicas


class RoundRobin:
    """Each replica in turn.

    Equal replicas under equal requests share evenly; a slow replica gets as many requests as a fast one and overflows
    first, which is what a plain Service does to a mixed fleet.
    """

    def __init__(self) -> None:
        self._turn = 0

    def choose(self, loads: Sequence[float], rates_per_s: Sequence[float]) -> int:
        """Return the index after the last one; see `RoutingRule`."""
        check_replicas(loads, rates_per_s)
        chosen = self._turn % len(loads)
        self._turn = chosen + 1
        return chosen
