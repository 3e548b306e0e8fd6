"""The replicas of one variant: made, placed, started, drained and deleted as its count says. It routes nothing.

Growing makes replicas at once; each waits for devices, starts, perhaps crashes and backs off, and becomes ready.
Shrinking ends first those that wait for devices, then those that start, then those that serve, the youngest first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from optimizer.domain import PodKey, VariantKey
from optimizer.simulation.cluster.chance import Purpose, make_stream
from optimizer.simulation.cluster.devices import DevicePool
from optimizer.simulation.cluster.replica import Life, Replica
from optimizer.simulation.cluster.result import ReplicaSeries
from optimizer.simulation.cluster.scenario import Scenario
from optimizer.simulation.cluster.site import Site
from optimizer.simulation.cluster.startup import StartupTime
from optimizer.simulation.cluster.truth import compute_routing_rate_per_s, make_replica_step_time
from optimizer.simulation.engine import TokenEngine
from optimizer.simulation.ticks import to_ns, to_s


class ReplicaWatcher(Protocol):
    """Who wants to know about replicas that serve."""

    def note_ready(self, replica: Replica, now_ns: int) -> None:
        """It serves from now on."""
        ...

    def note_ending(self, replica: Replica, now_ns: int) -> None:
        """It gets no more requests."""
        ...

    def note_killed(self, replica: Replica, now_ns: int) -> None:
        """It is gone, with the requests it still has."""
        ...


class Deployment:
    """One variant.

    Parameters
    ----------
    site
        What it shares with all others.
    scenario, key
        Which variant of what.
    pool
        Devices, shared with others.
    watcher
        Hears of replicas that serve.
    on_freed
        Called when devices became free.

    Attributes
    ----------
    requested
        As ``scale.spec`` says.
    replicas
        Those that exist, by number.
    series
        Over time.
    billed_ns, created, failed_starts
        See `VariantFigures`.
    """

    def __init__(
        self,
        site: Site,
        scenario: Scenario,
        key: VariantKey,
        *,
        pool: DevicePool,
        watcher: ReplicaWatcher,
        on_freed: Callable[[DevicePool, int], None],
    ) -> None:
        self.key, self.variant, self.plant, self.pool = key, scenario.variants[key], scenario.plants[key], pool
        self.requested = 0
        self.replicas: dict[int, Replica] = {}
        self.series = ReplicaSeries.empty()
        self.billed_ns = self.created = self.failed_starts = 0
        self._site, self._watcher, self._on_freed = site, watcher, on_freed
        self._index = list(scenario.variants).index(key)
        self._startup = self.plant.startup or StartupTime(self.variant.startup_s)
        self._routing_rate_per_s = compute_routing_rate_per_s(self.plant, site.seed)
        self._counts: Counter[Life] = Counter()

    def open(self) -> None:
        """Make the initial replicas, ready at once."""
        self.requested = self.plant.initial_replicas
        for _ in range(self.requested):
            replica = self._make(0)
            if self.place(replica, 0, starts=False):
                self._set_ready(0, replica)
        self.note_counts(0)

    def scale(self, replicas: int, now_ns: int) -> None:
        """Request `replicas` >= 0 from `now_ns` [ns] on."""
        if replicas == self.requested:
            return
        self.requested = replicas
        active = [replica for replica in self.replicas.values() if replica.life is not Life.DRAINING]
        for _ in range(replicas - len(active)):
            self.place(self._make(now_ns), now_ns)
        order = (Life.PENDING, Life.STARTING, Life.READY)
        active.sort(key=lambda replica: (order.index(replica.life), -replica.ordinal))
        for replica in active[: max(len(active) - replicas, 0)]:
            self._end(replica, now_ns)
        self.note_counts(now_ns)

    def place(self, replica: Replica, now_ns: int, *, starts: bool = True) -> bool:
        """Give a waiting replica devices and start it; return False when there are none."""
        placement = self.pool.place(
            self.key.variant, self.variant.accelerators_per_replica, now_ns, is_there=not starts
        )
        if placement is None:
            return False
        replica.placement, replica.placed_ns = placement, now_ns
        self._set_life(replica, Life.STARTING)
        if starts:
            self._start(placement.begin_ns, replica)
        self.note_counts(now_ns)
        return True

    def list_pending(self) -> list[Replica]:
        """Return the replicas that wait for devices, the oldest first."""
        if not self._counts[Life.PENDING]:
            return []
        return [replica for replica in self.replicas.values() if replica.life is Life.PENDING]

    def count(self, life: Life) -> int:
        """Return the replicas that do `life`."""
        return self._counts[life]

    def note_idle(self, replica: Replica, now_ns: int) -> None:
        """Hear that `replica`, which drains, has no requests any more."""
        self._delete(replica, now_ns)

    def note_counts(self, now_ns: int) -> None:
        """Write the series."""
        series, counts = self.series, self._counts
        series.requested.append(now_ns, self.requested)
        series.pending.append(now_ns, counts[Life.PENDING])
        series.starting.append(now_ns, counts[Life.STARTING])
        series.ready.append(now_ns, counts[Life.READY])
        series.draining.append(now_ns, counts[Life.DRAINING])

    def close(self) -> None:
        """Bill what exists at the horizon."""
        for replica in self.replicas.values():
            self._bill(replica, self._site.end_ns)

    def _make(self, now_ns: int) -> Replica:
        ordinal = self.created
        self.created += 1
        pod = PodKey(self.key.namespace, f"{self.variant.workload.name}-{ordinal}", str(ordinal))
        replica = Replica(self.key, pod, ordinal, now_ns, self._routing_rate_per_s)
        self.replicas[ordinal] = replica
        self._counts[Life.PENDING] += 1
        return replica

    def _start(self, begin_ns: int, replica: Replica) -> None:
        """Plan the end of an attempt to start that begins at `begin_ns` [ns]."""
        chance = make_stream(self._site.seed, Purpose.STARTUP, self._index, replica.ordinal, replica.attempts)
        startup_s, luck = self._startup.compute_quantile_s(chance.random()), chance.random()
        action = self._crash if luck < self._site.options.start.failure_ratio else self._set_ready
        self._site.queue.plan(begin_ns + to_ns(startup_s), action, replica)

    def _crash(self, now_ns: int, replica: Replica) -> None:
        if replica.life is not Life.STARTING:
            return
        start = self._site.options.start
        self.failed_starts += 1
        pause_s = min(start.backoff_s * 2.0 ** min(replica.attempts, 60), start.longest_backoff_s)
        replica.attempts += 1
        if now_ns < self._site.end_ns:
            self._start(now_ns + to_ns(pause_s), replica)

    def _set_ready(self, now_ns: int, replica: Replica) -> None:
        if replica.life is not Life.STARTING:
            return
        step_time = make_replica_step_time(self.plant, self._site.seed, self._index, replica.ordinal)
        replica.engine = TokenEngine(step_time, self.plant.limits, to_s(now_ns), tells_tokens=False)
        replica.ready_ns = now_ns
        self._set_life(replica, Life.READY)
        self.note_counts(now_ns)
        self._watcher.note_ready(replica, now_ns)

    def _end(self, replica: Replica, now_ns: int) -> None:
        """Tell `replica` to end."""
        replica.ended_ns = now_ns
        if replica.life is not Life.READY:
            self._delete(replica, now_ns)
            return
        self._set_life(replica, Life.DRAINING)
        self._watcher.note_ending(replica, now_ns)
        if replica.load:
            self._site.queue.plan(now_ns + to_ns(self._site.options.grace_s), self._kill, replica)
        else:
            self._delete(replica, now_ns)

    def _kill(self, now_ns: int, replica: Replica) -> None:
        if replica.life is Life.DRAINING:
            self._watcher.note_killed(replica, now_ns)
            self._delete(replica, now_ns)

    def _delete(self, replica: Replica, now_ns: int) -> None:
        self._bill(replica, now_ns)
        placement, replica.placement, replica.engine = replica.placement, None, None
        self._set_life(replica, Life.GONE)
        del self.replicas[replica.ordinal]
        self.note_counts(now_ns)
        if placement is not None:
            self.pool.give_back(placement, now_ns)
            self._on_freed(self.pool, now_ns)

    def _bill(self, replica: Replica, now_ns: int) -> None:
        if replica.placed_ns is not None:
            self.billed_ns += max(min(now_ns, self._site.end_ns) - replica.placed_ns, 0)

    def _set_life(self, replica: Replica, life: Life) -> None:
        self._counts[replica.life] -= 1
        if life is not Life.GONE:
            self._counts[life] += 1
        replica.life = life
