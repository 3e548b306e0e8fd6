"""What a choice rule is. It sees loads and rates, never requests or addresses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from optimizer.errors import InvalidInput


class RoutingRule(Protocol):
    """Chooses the replica a request goes to; it may remember its choices, so each list of replicas has its own."""

    def choose(self, loads: Sequence[float], rates_per_s: Sequence[float]) -> int:
        """Return the index of the replica for the next request.

        Parameters
        ----------
        loads
            Requests each replica has in hand, running and waiting.
        rates_per_s
            Target rate of each [1/s], > 0: its capacity within the SLO, or any figure in proportion to it.

        Raises
        ------
        InvalidInput
            Without replicas, or when the two differ in length.
        """
        ...


def check_replicas(loads: Sequence[float], rates_per_s: Sequence[float]) -> None:
    """Raise InvalidInput unless there is at least one replica and each has a load and a rate."""
    if not loads:
        raise InvalidInput("loads", "of at least one replica", loads)
    if len(rates_per_s) != len(loads):
        raise InvalidInput("rates_per_s", f"of length {len(loads)}, as loads", rates_per_s)
