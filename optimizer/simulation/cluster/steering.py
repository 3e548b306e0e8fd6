"""Asks the decider, and turns its answers into requested replicas: at once, or by autoscalers that follow a number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from typing import Protocol, runtime_checkable

from optimizer.domain import VariantKey
from optimizer.policy.hpa_law import HpaSpec, HpaState, ReplicaCounts, SyncOutcome, step_hpa
from optimizer.simulation.cluster.chance import Purpose, make_stream
from optimizer.simulation.cluster.cluster import Cluster
from optimizer.simulation.cluster.options import FOLLOWING_HPA, Actuation, ClusterOptions, HpaOptions, Rhythm
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


@runtime_checkable
class Rhythmic(Protocol):
    """A decider that says when it is asked; others are asked behind rounds of pages."""

    @property
    def rhythm(self) -> Rhythm:
        """When."""
        ...


def get_actuation(decider: Decider, options: ClusterOptions) -> Actuation:
    """Return how the answers of `decider` become replicas."""
    return options.actuation or (decider.actuation if isinstance(decider, Actuated) else Actuation.DIRECT)


def get_page_delay_s(decider: Decider, options: ClusterOptions) -> float:
    """Return from reading a page to its being known to `decider` [s]."""
    return options.scrape.delay_s + (options.hpa.metric_delay_s if _is_synced(decider) else 0.0)


def find_first_sync_s(options: ClusterOptions, seed: int) -> float:
    """Return when autoscalers sync first in the run of `seed` [s]: a whole millisecond."""
    hpa = options.hpa
    if hpa.phase_s is not None:
        return hpa.phase_s
    return math.floor(make_stream(seed, Purpose.SYNC).random() * hpa.sync_s * 1000.0) / 1000.0


def find_first_decision_s(decider: Decider, options: ClusterOptions, seed: int) -> float:
    """Return when `decider` is asked first in the run of `seed` [s]."""
    return find_first_sync_s(options, seed) if _is_synced(decider) else options.first_decision_s


def _is_synced(decider: Decider) -> bool:
    return isinstance(decider, Rhythmic) and decider.rhythm is Rhythm.SYNCS


@runtime_checkable
class Followed(Protocol):
    """A decider that comes with the autoscaler that follows its numbers."""

    @property
    def follower(self) -> HpaSpec:
        """It stands in the place of the recommended one, unless a run names another."""
        ...


@runtime_checkable
class Patching(Protocol):
    """A decider that patches scale of some variants itself, though an autoscaler follows its numbers.

    A patch is made at the next sync, so that all replicas change in the rhythm that bounds know of.
    """

    @property
    def patched(self) -> Set[VariantKey]:
        """Which variants of its newest answer."""
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
        seed: int,
        look: Callable[[int, Mapping[VariantKey, int]], ScraperView],
    ) -> None:
        self.steps = 0
        self.changes: list[DecisionChange] = []
        self._cluster, self._decider, self._look = cluster, decider, look
        self._asked: dict[VariantKey, int] = {}
        is_followed = get_actuation(decider, options) is Actuation.HPA
        first_sync_ns = to_ns(find_first_sync_s(options, seed))
        hpa = options.hpa
        if isinstance(decider, Followed) and hpa.spec == FOLLOWING_HPA:
            hpa = replace(hpa, spec=decider.follower)
        self._followers = Followers(cluster, hpa, first_sync_ns) if is_followed else None
        self._first_ns = to_ns(find_first_decision_s(decider, options, seed))

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
        patched: Set[VariantKey] = self._decider.patched if isinstance(self._decider, Patching) else frozenset()
        self.steps += 1
        for key, replicas in answer.items():
            self._cluster.check_answer(key, replicas)
            if self._asked.get(key) != replicas:
                self._asked[key] = replicas
                self.changes.append(DecisionChange(to_s(now_ns), key, replicas))
            if self._followers is None:
                self._cluster.scale(key, replicas, now_ns)
            else:
                self._followers.publish(key, replicas, now_ns, is_patched=key in patched)


class Followers:
    """One autoscaler per variant, reading published numbers, from `first_ns` [ns] on."""

    def __init__(self, cluster: Cluster, options: HpaOptions, first_ns: int) -> None:
        self._cluster, self._options, self._first_ns = cluster, options, first_ns
        self._states = {key: HpaState() for key in cluster.deployments}
        self._published: dict[VariantKey, list[tuple[int, int]]] = {key: [] for key in cluster.deployments}
        self._patched: dict[VariantKey, int] = {}

    def open(self) -> None:
        """Plan the first sync."""
        self._cluster.queue.plan(self._first_ns, self._sync)

    def publish(self, key: VariantKey, replicas: int, now_ns: int, *, is_patched: bool = False) -> None:
        """Make `replicas` the number of `key` from `now_ns` [ns] on, and what is asked for where it is patched."""
        if is_patched:
            self._patched[key] = replicas
        numbers = self._published[key]
        if not numbers or numbers[-1][1] != replicas:
            numbers.append((now_ns, replicas))

    def _sync(self, now_ns: int, _: object) -> None:
        if now_ns >= self._cluster.end_ns:
            return
        self._cluster.queue.plan(now_ns + to_ns(self._options.sync_s), self._sync)
        for key, replicas in self._patched.items():
            self._cluster.scale(key, replicas, now_ns)
        self._patched = {}
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
