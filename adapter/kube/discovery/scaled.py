"""Objects of kinds that nobody knew beforehand, with their scales, asked for now and then. It changes nothing.

Any object with a ``/scale`` subresource may run a variant. There are few of them, and the right to ``get`` them and
their scale suffices: each is asked for every `PERIOD_S`; while that fails, what was known last stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from adapter.clock import Clock
from adapter.cluster import Trouble
from adapter.errors import AdapterError, NotFound
from adapter.kube.client import KubeClient
from adapter.kube.discovery.options import ScaledObject
from adapter.kube.discovery.trimming import trim_workload
from adapter.kube.mapper import ResourceMapper
from adapter.kube.patience import wait_within
from adapter.kube.scale import read_scale
from adapter.telemetry import log_event
from optimizer.domain import Reason, ReasonCode, WorkloadRef

PERIOD_S = 10.0
_CONCURRENCY = 8


class ScaledObjects:
    """Keeps the objects that were asked for with `want`.

    Parameters
    ----------
    client, mapper
        Reads them, and finds their paths.
    clock
        Times the rounds.
    """

    def __init__(self, client: KubeClient, mapper: ResourceMapper, clock: Clock) -> None:
        self._client, self._mapper, self._clock = client, mapper, clock
        self._wanted: frozenset[WorkloadRef] = frozenset()
        self._known: dict[WorkloadRef, ScaledObject] = {}
        self._failures: dict[WorkloadRef, str] = {}
        self._changed = asyncio.Event()

    def want(self, workloads: Iterable[WorkloadRef]) -> None:
        """Keep these objects and no others."""
        wanted = frozenset(workloads)
        if wanted - self._wanted:
            self._changed.set()
        self._wanted = wanted

    def list(self) -> tuple[ScaledObject, ...]:
        """Return those that are known."""
        return tuple(self._known[workload] for workload in sorted(self._wanted & self._known.keys()))

    def list_troubles(self) -> tuple[Trouble, ...]:
        """Return a trouble for each that cannot be read."""
        return tuple(
            Trouble(workload, Reason(ReasonCode.NO_DATA, self._failures[workload]))
            for workload in sorted(self._wanted & self._failures.keys())
        )

    async def run(self) -> None:
        """Ask for them until canceled; no failure ends it."""
        while True:
            self._changed.clear()
            await self.refresh()
            try:
                await wait_within(self._clock, PERIOD_S, self._changed.wait())
            except TimeoutError:
                continue

    async def refresh(self) -> None:
        """Ask for all of them once."""
        slots = asyncio.Semaphore(_CONCURRENCY)

        async def read(workload: WorkloadRef) -> None:
            async with slots:
                await self._read(workload)

        await asyncio.gather(*(read(workload) for workload in sorted(self._wanted)))
        for kept in (self._known, self._failures):
            for workload in kept.keys() - self._wanted:
                del kept[workload]

    async def _read(self, workload: WorkloadRef) -> None:
        try:
            resource = await self._mapper.find(workload.api_version, workload.kind)
            document = await self._client.get(resource, workload.namespace, workload.name)
            scale = await read_scale(self._client, resource, workload.namespace, workload.name)
        except AdapterError as failure:
            if isinstance(failure, NotFound):
                self._known.pop(workload, None)
            self._report(workload, f"{workload.kind} {workload.name} cannot be read: {failure}")
            return
        self._known[workload] = ScaledObject(workload, trim_workload(document), scale.spec_replicas, scale.selector)
        self._report(workload, None)

    def _report(self, workload: WorkloadRef, failure: str | None) -> None:
        """Log what is wrong when that begins, changes, and ends."""
        if failure == self._failures.get(workload):
            return
        where = f"{workload.namespace}/{workload.name}"
        if failure is None:
            del self._failures[workload]
            log_event("scaled_object_recovered", workload=where)
        else:
            self._failures[workload] = failure
            log_event("scaled_object_failed", level="warning", workload=where, error=failure)
