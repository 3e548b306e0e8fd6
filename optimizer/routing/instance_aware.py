"""Instance-aware least load: requests in hand over target rate, the least goes first. It measures no rate itself."""

from __future__ import annotations

from collections.abc import Sequence

from optimizer.errors import InvalidInput
from optimizer.routing.rule import check_replicas


class InstanceAwareLeastLoad:
    """``argmin load / rate``, ties to the higher rate, then to the one that was chosen longest ago.

    Under load the requests in hand settle in proportion to the target rates, so every replica of a mixed fleet reaches
    its own limit at the same time: this is the routing a *weighted* plan assumes. A replica is known by its place in
    the list; whoever changes the list at most makes a tie go another way.
    """

    def __init__(self) -> None:
        self._choices = 0
        self._chosen_at: list[int] = []

    def choose(self, loads: Sequence[float], rates_per_s: Sequence[float]) -> int:
        """Return the index of the smallest load over rate; see `RoutingRule`.

        Raises
        ------
        InvalidInput
            Also when a rate is not positive.
        """
        check_replicas(loads, rates_per_s)
        if min(rates_per_s) <= 0:
            raise InvalidInput("rates_per_s", "> 0 [1/s]", rates_per_s)
        chosen_at = self._chosen_at
        chosen_at.extend([0] * (len(loads) - len(chosen_at)))

        def rank(index: int) -> tuple[float, float, int]:
            return (loads[index] / rates_per_s[index], -rates_per_s[index], chosen_at[index])

        chosen = min(range(len(loads)), key=rank)
        self._choices += 1
        chosen_at[chosen] = self._choices
        return chosen
