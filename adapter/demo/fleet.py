"""The embedded fleet: workloads with requested replicas, and the replicas that follow. It decides no number itself."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from adapter.clock import Clock
from adapter.demo.engine_settings import EngineSettings, Lag
from adapter.demo.replica import FleetReplica
from adapter.errors import NotFound
from adapter.inventory import Inventory, WorkloadEntry
from optimizer.domain import PodKey, PodPhase, Variant, WorkloadRef


@dataclass(frozen=True, slots=True)
class FleetWorkload:
    """One workload.

    Attributes
    ----------
    variant
        What its replicas serve, and how long one takes to start.
    engine
        How they behave; each replica gets a seed of its own.
    cost_per_hour
        Price of one replica [currency/h].
    opening_replicas
        Replicas that are ready when the fleet opens.
    """

    variant: Variant
    engine: EngineSettings
    cost_per_hour: float
    opening_replicas: int = 0

    @property
    def ref(self) -> WorkloadRef:
        """Its identity."""
        return self.variant.workload


@dataclass(frozen=True, slots=True)
class ReplicaBill:
    """What one replica costs: from `created_s` to `deleted_s` [s], None while it exists, at `cost_per_hour`."""

    workload: WorkloadRef
    created_s: float
    deleted_s: float | None
    cost_per_hour: float

    def compute_cost(self, now_s: float) -> float:
        """Return what it has cost until `now_s` [currency]."""
        end_s = now_s if self.deleted_s is None else min(self.deleted_s, now_s)
        return self.cost_per_hour * max(end_s - self.created_s, 0.0) / 3600.0


@dataclass(slots=True)
class _Running:
    workload: FleetWorkload
    requested_replicas: int = 0
    made: int = 0
    present: list[FleetReplica] = field(default_factory=list)
    gone: list[FleetReplica] = field(default_factory=list)


class Fleet:
    """All workloads of the demo.

    Parameters
    ----------
    workloads
        What there is.
    clock
        Engine time.
    seed
        Of the replicas' noise.
    on_change
        Called with a workload whenever one of its replicas changes phase.
    """

    def __init__(
        self,
        workloads: Iterable[FleetWorkload],
        clock: Clock,
        seed: int = 0,
        on_change: Callable[[WorkloadRef], None] | None = None,
    ) -> None:
        self._clock = clock
        self._seed = seed
        self._on_change = on_change
        self._running = {workload.ref: _Running(workload) for workload in workloads}
        self._is_closed = False

    @property
    def workloads(self) -> tuple[FleetWorkload, ...]:
        """What there is."""
        return tuple(running.workload for running in self._running.values())

    def open(self) -> None:
        """Create the opening replicas, ready at once."""
        for running in self._running.values():
            running.requested_replicas = running.workload.opening_replicas
            for _ in range(running.requested_replicas):
                self._create(running, startup_s=0.0)

    async def close(self) -> None:
        """Stop every server; nothing is created any more."""
        self._is_closed = True
        for running in self._running.values():
            for replica in (*running.present, *running.gone):
                await replica.close()

    def get_requested(self, ref: WorkloadRef) -> int:
        """Return the requested replicas of `ref`; NotFound when there is no such workload."""
        return self._get(ref).requested_replicas

    def set_requested(self, ref: WorkloadRef, replicas: int) -> None:
        """Ask for `replicas` of `ref`; NotFound when there is no such workload.

        Those that do not serve yet go first, of the others the youngest.
        """
        running = self._get(ref)
        running.requested_replicas = replicas
        alive = [replica for replica in running.present if replica.phase is not PodPhase.TERMINATING]
        for _ in range(replicas - len(alive)):
            self._create(running, running.workload.variant.startup_s)
        leaving = sorted(alive, key=lambda replica: (replica.phase is PodPhase.READY, -replica.created_s))
        for replica in leaving[: max(len(alive) - replicas, 0)]:
            replica.terminate()

    def get_replicas(self, ref: WorkloadRef, phase: PodPhase) -> Sequence[FleetReplica]:
        """Return the replicas of `ref` in `phase`."""
        return [replica for replica in self._get(ref).present if replica.phase is phase]

    def to_inventory(self) -> Inventory:
        """Return what a discovery source would see."""
        return Inventory(
            tuple(
                WorkloadEntry(ref, running.requested_replicas, tuple(replica.to_entry() for replica in running.present))
                for ref, running in self._running.items()
            )
        )

    def to_bills(self, ref: WorkloadRef | None = None) -> list[ReplicaBill]:
        """Return the bill of every replica there is or was, of `ref` or of all workloads."""
        return [
            ReplicaBill(owner, replica.created_s, replica.deleted_s, running.workload.cost_per_hour)
            for owner, running in self._running.items()
            if ref in (None, owner)
            for replica in (*running.gone, *running.present)
        ]

    def take_lag(self) -> Lag:
        """Return how late the engines were served since the last call, over all replicas."""
        lags = [replica.take_lag() for running in self._running.values() for replica in running.present]
        wakes = sum(lag.wakes for lag in lags)
        mean_s = sum(lag.mean_s * lag.wakes for lag in lags) / wakes if wakes else 0.0
        return Lag(wakes, mean_s, max((lag.max_s for lag in lags), default=0.0))

    def _get(self, ref: WorkloadRef) -> _Running:
        if ref not in self._running:
            raise NotFound(f"no workload {ref.namespace}/{ref.name} in the fleet")
        return self._running[ref]

    def _create(self, running: _Running, startup_s: float) -> None:
        if self._is_closed:
            return
        ref, number = running.workload.ref, running.made
        running.made += 1
        pod = PodKey(ref.namespace, f"{ref.name}-{number}", f"{ref.name}-{number}")
        engine = replace(running.workload.engine, seed=_hash_seed(self._seed, ref.name, number))
        replica = FleetReplica(pod, engine, self._clock, startup_s, lambda: self._note_change(running))
        running.present.append(replica)
        replica.create()

    def _note_change(self, running: _Running) -> None:
        gone = [replica for replica in running.present if replica.deleted_s is not None]
        running.gone.extend(gone)
        running.present = [replica for replica in running.present if replica.deleted_s is None]
        if self._on_change is not None:
            self._on_change(running.workload.ref)


def _hash_seed(seed: int, name: str, number: int) -> int:
    """Return a seed of its own for replica `number` of `name`; the same in every process."""
    return zlib.crc32(f"{seed}/{name}/{number}".encode())
