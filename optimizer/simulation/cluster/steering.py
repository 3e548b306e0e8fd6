"""Asks the decider, and turns its answers into requested replicas: at once, or by autoscalers that follow a number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from optimizer.domain import VariantKey
from optimizer.policy.hpa_law import HpaState, ReplicaCounts, SyncOutcome, step_hpa
from optimizer.simulation.cluster.cluster import Cluster
from optimizer.simulation.cluster.options import Actuation, ClusterOptions, HpaOptions
from optimizer.simulation.cluster.replica import Life
from optimizer.simulation.cluster.result import DecisionChange
from optimizer.simulation.decider import Decider, ScraperView
from optimizer.simulation.ticks import to_ns, to_s


@runtime_checkable
class Actuated(Protocol):
    """A decider that says how its answers become replicas."""

    @property
    def actuation(self) -> Actuation:
        """How."""
        ...


class Steering:
    """One decider at the helm.

    Attributes
    ----------
    steps
        How often it was asked.
    changes
        What it asked for, changes only.
    """

    def __init__(
        self,
        cluster: Cluster,
        decider: Decider,
        options: ClusterOptions,
        look: Callable[[int, Mapping[VariantKey, int]], ScraperView],
    ) -> None:
        self.steps = 0
        self.changes: list[DecisionChange] = []
        self._cluster, self._decider, self._look = cluster, decider, look
        self._asked: dict[VariantKey, int] = {}
        told = decider.actuation if isinstance(decider, Actuated) else Actuation.DIRECT
        is_followed = (options.actuation or told) is Actuation.HPA
        self._followers = Followers(cluster, options.hpa) if is_followed else None
        self._first_ns = to_ns(options.first_decision_s)

    def open(self) -> None:
        """Plan the first decision, and the first sync of the followers."""
        self._cluster.queue.plan(self._first_ns, self._decide)
        if self._followers is not None:
            self._followers.open()

    def _decide(self, now_ns: int, _: object) -> None:
        if now_ns >= self._cluster.end_ns:
            return
        period_s = self._decider.period_s
        if period_s != math.inf:
            self._cluster.queue.plan(now_ns + to_ns(period_s), self._decide)
        requested = {key: one.requested for key, one in self._cluster.deployments.items()}
        answer = self._decider.step(self._look(now_ns, requested))
        self.steps += 1
        for key, replicas in answer.items():
            self._cluster.check_answer(key, replicas)
            if self._asked.get(key) != replicas:
                self._asked[key] = replicas
                self.changes.append(DecisionChange(to_s(now_ns), key, replicas))
            if self._followers is None:
                self._cluster.scale(key, replicas, now_ns)
            else:
                self._followers.publish(key, replicas, now_ns)


class Followers:
    """One autoscaler per variant, reading published numbers."""

    def __init__(self, cluster: Cluster, options: HpaOptions) -> None:
        self._cluster, self._options = cluster, options
        self._states = {key: HpaState() for key in cluster.deployments}
        self._published: dict[VariantKey, list[tuple[int, int]]] = {key: [] for key in cluster.deployments}

    def open(self) -> None:
        """Plan the first sync."""
        self._cluster.queue.plan(to_ns(self._options.phase_s), self._sync)

    def publish(self, key: VariantKey, replicas: int, now_ns: int) -> None:
        """Make `replicas` the number of `key` from `now_ns` [ns] on."""
        numbers = self._published[key]
        if not numbers or numbers[-1][1] != replicas:
            numbers.append((now_ns, replicas))

    def _sync(self, now_ns: int, _: object) -> None:
        if now_ns >= self._cluster.end_ns:
            return
        self._cluster.queue.plan(now_ns + to_ns(self._options.sync_s), self._sync)
        for key, deployment in self._cluster.deployments.items():
            number = self._read(key, now_ns)
            ready, starting = deployment.count(Life.READY), deployment.count(Life.STARTING)
            status = ready + starting + deployment.count(Life.PENDING)
            counts = ReplicaCounts(deployment.requested, status, ready)
            reading = None if number is None else [1000 * number]
            sync, state = step_hpa(self._options.spec, self._states[key], counts, [reading], to_s(now_ns))
            self._states[key] = state
            if sync.outcome is not SyncOutcome.METRIC_FAILED:
                self._cluster.scale(key, sync.replicas, now_ns)

    def _read(self, key: VariantKey, now_ns: int) -> int | None:
        """Return the number that a sync at `now_ns` [ns] sees, None before the first."""
        oldest_ns = now_ns - to_ns(self._options.metric_delay_s)
        numbers = self._published[key]
        while len(numbers) > 1 and numbers[1][0] <= oldest_ns:
            del numbers[0]
        return numbers[0][1] if numbers and numbers[0][0] <= oldest_ns else None
