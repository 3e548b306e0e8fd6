"""Every VariantDecision and our heartbeat as the cluster has them now. It writes nothing."""

from __future__ import annotations

import asyncio

from adapter.clock import Clock
from adapter.errors import BadDocument
from adapter.kube.client import Json, KubeClient
from adapter.kube.decisions.heartbeat import HEARTBEAT_NAME, Heartbeat, decode_heartbeat
from adapter.kube.decisions.installation import Installation
from adapter.kube.decisions.many import take_turns
from adapter.kube.decisions.reading import read_decision
from adapter.kube.decisions.record import DecisionRecord
from adapter.kube.reflector import ObjectCache
from adapter.kube.resource import CONFIG_MAPS, VARIANT_DECISIONS
from adapter.telemetry import log_event
from optimizer.domain import WorkloadRef


class DecisionWatch:
    """Follows the objects of all installations, and tells those of ours as decisions.

    Parameters
    ----------
    client, clock
        What to follow them with.
    installation
        Ours.
    namespaces
        Where decisions may lie; () means everywhere.

    Attributes
    ----------
    changed
        Set when anything changes; whoever waits for it clears it.
    """

    def __init__(
        self, client: KubeClient, clock: Clock, installation: Installation, namespaces: tuple[str, ...] = ()
    ) -> None:
        self.installation, self._clock = installation, clock
        self.changed = asyncio.Event()
        self._decisions = tuple(
            ObjectCache(client, VARIANT_DECISIONS, namespace, clock=clock, on_change=self.changed.set, trim=_trim)
            for namespace in (namespaces or (None,))
        )
        self._heartbeats = ObjectCache(
            client,
            CONFIG_MAPS,
            installation.namespace,
            clock=clock,
            query={"fieldSelector": f"metadata.name={HEARTBEAT_NAME}"},
            on_change=self.changed.set,
            trim=_trim,
        )
        self._read: dict[tuple[str, str], tuple[str, DecisionRecord | None]] = {}
        self._heartbeat: tuple[str, Heartbeat | None] = ("", None)

    async def run(self) -> None:
        """Follow the cluster until canceled."""
        async with asyncio.TaskGroup() as tasks:
            for cache in self._caches:
                tasks.create_task(cache.run())

    @property
    def _caches(self) -> tuple[ObjectCache, ...]:
        return (*self._decisions, self._heartbeats)

    @property
    def is_synced(self) -> bool:
        """Whether everything was known once."""
        return all(cache.is_synced for cache in self._caches)

    @property
    def behind_since_s(self) -> float | None:
        """Since when changes may be missing [Unix s], None while they are followed."""
        return min((cache.behind_since_s for cache in self._caches if cache.behind_since_s is not None), default=None)

    @property
    def last_gaps_s(self) -> tuple[tuple[float, float], ...]:
        """When changes were last missed, from and to [Unix s]."""
        return tuple(cache.last_gap_s for cache in self._caches)

    @property
    def failure(self) -> str | None:
        """What is wrong with following them, None when nothing is."""
        return next((cache.failure for cache in self._caches if cache.failure is not None), None)

    async def wait_synced(self, timeout_s: float) -> None:
        """Return when everything is known.

        Raises
        ------
        Unreachable
            When that takes longer than `timeout_s` [s].
        """
        end_s = self._clock.now_s() + timeout_s
        for cache in self._caches:
            await cache.wait_synced(max(end_s - self._clock.now_s(), 0.0))

    def list_objects(self) -> tuple[Json, ...]:
        """Return every VariantDecision, of whatever installation."""
        return tuple(item for cache in self._decisions for item in cache.list())

    def get_object(self, namespace: str, name: str) -> Json | None:
        """Return one VariantDecision, None when it is not known."""
        found = (cache.get(namespace, name) for cache in self._decisions)
        return next((item for item in found if item is not None), None)

    async def read_records(self) -> tuple[DecisionRecord, ...]:
        """Return the decisions of our installation; what cannot be read is passed over, and the log says so."""
        read: dict[tuple[str, str], tuple[str, DecisionRecord | None]] = {}
        async for item in take_turns(self.list_objects()):
            about = item["metadata"]
            key = (about["namespace"], about["name"])
            known = self._read.get(key)
            if known is None or known[0] != about["resourceVersion"]:
                known = about["resourceVersion"], read_decision(item, self.installation)
            read[key] = known
        self._read = read
        return tuple(record for _, record in read.values() if record is not None)

    def get_heartbeat(self) -> Heartbeat | None:
        """Return the newest heartbeat of our installation that could be read, None before the first."""
        item = self._heartbeats.get(self.installation.namespace, HEARTBEAT_NAME)
        version = "" if item is None else item["metadata"]["resourceVersion"]
        if version != self._heartbeat[0]:
            try:
                self._heartbeat = (version, decode_heartbeat(item, self.installation.name))
            except BadDocument as failure:
                log_event("heartbeat_unreadable", level="warning", error=str(failure))
                self._heartbeat = (version, self._heartbeat[1])
        return self._heartbeat[1]

    async def get_zeroed_by(self) -> dict[WorkloadRef, str]:
        """Return who put which workload to zero, as recorded."""
        return {entry.decision.workload: entry.zeroed_by for entry in await self.read_records() if entry.zeroed_by}


def _trim(item: Json) -> Json:
    """Return `item` without what only the API server reads."""
    about = {name: value for name, value in item["metadata"].items() if name != "managedFields"}
    return {**item, "metadata": about}
