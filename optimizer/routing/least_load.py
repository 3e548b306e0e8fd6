"""Least load: the replica with the fewest requests in hand. It does not ask how fast a replica is."""

from __future__ import annotations

from collections.abc import Sequence

from optimizer.routing.rule import check_replicas


class LeastLoad:
    """``argmin load``, ties in turn.

    Loads level out, so by Little's law each replica gets a rate in inverse proportion to the time its requests take:
    faster replicas get more, but as many requests lie on a slow replica as on a fast one.
    """

    def __init__(self) -> None:
        self._turn = 0

    def choose(self, loads: Sequence[float], rates_per_s: Sequence[float]) -> int:
        """Return the index of the smallest load, of equals the first after the last choice; see `RoutingRule`."""
        check_replicas(loads, rates_per_s)
        least, turn = min(loads), self._turn % len(loads)
        chosen = loads.index(least, turn) if least in loads[turn:] else loads.index(least)
        self._turn = chosen + 1
        return chosen
