"""Which replicas serve an LLM now, how much each has in hand, and who waits until there is one. No I/O."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from optimizer import RoutingRule
from optimizer.domain import ModelKey


@dataclass(frozen=True, slots=True)
class Replica:
    """One server that takes requests.

    Attributes
    ----------
    name
        Unique name, such as that of its pod.
    url
        Base address, such as ``http://10.0.0.7:8000``.
    target_rate_per_s
        Requests it should get when all are fully used [1/s], > 0: its capacity within the SLO, or any figure in
        proportion to it.
    """

    name: str
    url: str
    target_rate_per_s: float = 1.0


class ReplicaTable:
    """The ready replicas of one LLM and the requests each has in hand through this router.

    Parameters
    ----------
    key
        The LLM.
    rule
        Chooses among them; one rule object per table, as a rule may remember its last choice.
    """

    def __init__(self, key: ModelKey, rule: RoutingRule) -> None:
        self.key = key
        self._rule = rule
        self._replicas: dict[str, Replica] = {}
        self._in_hand: dict[str, int] = {}
        self._some = asyncio.Event()

    @property
    def replicas(self) -> tuple[Replica, ...]:
        """The ready replicas."""
        return tuple(self._replicas.values())

    def update(self, replicas: Iterable[Replica]) -> None:
        """Replace the ready replicas; requests in hand at those that left go on there."""
        self._replicas = {replica.name: replica for replica in replicas}
        if self._replicas:
            self._some.set()
        else:
            self._some.clear()

    def count_in_hand(self, name: str) -> int:
        """Return the requests that replica `name` has in hand through this router."""
        return self._in_hand.get(name, 0)

    def has_other(self, excluded: frozenset[str]) -> bool:
        """Return whether a ready replica is not `excluded`; unlike choosing, asking takes nobody's turn."""
        return not self._replicas.keys() <= excluded

    def choose(self, excluded: frozenset[str] = frozenset()) -> Replica | None:
        """Return the replica the rule prefers among those not `excluded`, None when there is none."""
        found = [replica for replica in self._replicas.values() if replica.name not in excluded]
        if not found:
            return None
        loads = [float(self.count_in_hand(replica.name)) for replica in found]
        return found[self._rule.choose(loads, [replica.target_rate_per_s for replica in found])]

    @contextmanager
    def take(self, replica: Replica) -> Iterator[None]:
        """Count one request in hand at `replica` while the block runs."""
        self._in_hand[replica.name] = self.count_in_hand(replica.name) + 1
        try:
            yield
        finally:
            left = self._in_hand[replica.name] - 1
            if left:
                self._in_hand[replica.name] = left
            else:
                del self._in_hand[replica.name]

    async def wait_for_replica(self) -> None:
        """Return once there is a ready replica."""
        await self._some.wait()
