"""A fluid fleet: replicas that start late and go at once, under a demand without grain. It decides nothing.

It is what every replay runs on, so that all of them are served by the same physics: a replica costs from its creation
to its deletion, serves from `startup_s` on, and carries its capacity within the SLO; demand above the ready capacity
misses. Requests do not queue, so that what misses is lost for the attainment and does not burden what comes later.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from optimizer.domain import PodKey, PodPhase, PodState, Variant, VariantKey, VariantState
from optimizer.units import to_cost


@dataclass(slots=True)
class FluidReplica:
    """One replica: its name, and when it was created and serves [s]."""

    name: str
    created_s: float
    ready_s: float


@dataclass(slots=True)
class FluidPool:
    """The replicas of one variant.

    Attributes
    ----------
    key, variant
        Which one.
    replica_cost_per_hour
        Price of one replica [currency/h].
    requested_replicas
        What was last asked for.
    replicas
        Those that exist, in order of creation.
    cost
        What they have cost so far [currency].
    """

    key: VariantKey
    variant: Variant
    replica_cost_per_hour: float
    requested_replicas: int = 0
    replicas: list[FluidReplica] = field(default_factory=list)
    cost: float = 0.0
    _made: int = 0

    def request(self, replicas: int, time_s: float, *, is_warm: bool = False) -> None:
        """Ask for `replicas` at `time_s` [s]; those that are `is_warm` serve at once. The last to be ready go first."""
        self.requested_replicas = replicas
        while len(self.replicas) < replicas:
            self._made += 1
            ready_s = time_s if is_warm else time_s + self.variant.startup_s
            self.replicas.append(FluidReplica(f"{self.variant.name}-{self._made}", time_s, ready_s))
        surplus = sorted(self.replicas, key=lambda replica: replica.ready_s)[replicas:]
        self.replicas = [replica for replica in self.replicas if replica not in surplus]

    def count_ready(self, time_s: float) -> int:
        """Return the replicas that serve at `time_s` [s]."""
        return sum(replica.ready_s <= time_s for replica in self.replicas)

    def pay(self, duration_s: float) -> None:
        """Charge every replica that exists for `duration_s` [s]."""
        self.cost += len(self.replicas) * to_cost(self.replica_cost_per_hour, duration_s)

    def list_changes_s(self, start_s: float, end_s: float) -> list[float]:
        """Return the moments between `start_s` and `end_s` [s] at which a replica begins to serve."""
        return [replica.ready_s for replica in self.replicas if start_s < replica.ready_s < end_s]

    def to_state(self, time_s: float) -> VariantState:
        """Return the pool as discovery would see it at `time_s` [s]."""
        pods = tuple(
            PodState(
                pod=PodKey(self.key.namespace, replica.name),
                phase=PodPhase.READY if replica.ready_s <= time_s else PodPhase.STARTING,
                created_s=replica.created_s,
                ready_s=replica.ready_s if replica.ready_s <= time_s else None,
                seen_s=time_s if replica.ready_s <= time_s else None,
            )
            for replica in self.replicas
        )
        return VariantState(self.key, self.requested_replicas, pods)
