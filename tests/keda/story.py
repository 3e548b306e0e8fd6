"""One workload that a ScaledObject of ours scales: made of our samples, and watched. It judges nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from adapter.kube.client import Json, PatchType
from adapter.kube.resource import DEPLOYMENTS, SCALED_OBJECTS
from tests.control_plane.cluster import Cluster
from tests.control_plane.workloads import Workload
from tests.keda.samples import DEPLOYMENT, load_sample

_LOOK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class ScaledWorkload:
    """The Deployment of the samples, and the ScaledObject of its name.

    Attributes
    ----------
    workload
        The Deployment.
    steps_s
        How long each number took to be followed [s], in the order of `follow`.
    """

    workload: Workload
    steps_s: dict[str, float] = field(default_factory=dict)

    @property
    def cluster(self) -> Cluster:
        """Where it is."""
        return self.workload.cluster

    async def scale_by(self, sample: str, addresses: Mapping[str, str], patch: Json | None = None) -> None:
        """Make the ScaledObject of a sample with `patch` merged into it, and return when KEDA reads our number, 1."""
        namespace = self.workload.namespace
        await self.workload.pin(1)
        await self.cluster.apply(SCALED_OBJECTS, namespace, load_sample(sample, "ScaledObject", namespace, addresses))
        if patch is not None:
            await self.patch(patch)
        await self.wait_for_health()

    async def patch(self, patch: Json) -> None:
        """Merge `patch` into the ScaledObject."""
        client, workload = self.cluster.client, self.workload
        await client.patch(SCALED_OBJECTS, workload.namespace, workload.name, patch, kind=PatchType.MERGE)

    async def follow(self, *numbers: int) -> None:
        """Pin each number in turn, and return when the last is followed."""
        for number in numbers:
            before, started_s = await self.workload.read_replicas(), time.monotonic()
            await self.workload.pin(number)
            await self.workload.wait_for_replicas(number)
            self.steps_s[f"{before}→{number}"] = time.monotonic() - started_s

    async def wait_for_scaled_object(self, is_done: Callable[[Json], object], *, what: str) -> Json:
        """Return the ScaledObject once `is_done` accepts it."""
        workload = self.workload
        return await self.cluster.wait_for(
            SCALED_OBJECTS, workload.namespace, workload.name, is_done, what=f"the ScaledObject {what}", timeout_s=240.0
        )

    async def wait_for_failures(self, count: int) -> None:
        """Return when KEDA failed that often, one time after the other, to read our number."""
        await self.wait_for_scaled_object(
            lambda found: any(it["numberOfFailures"] >= count for it in _list_health(found)),
            what=f"has failed {count} times",
        )

    async def wait_for_health(self) -> None:
        """Return when KEDA reads our number."""
        await self.wait_for_scaled_object(
            lambda found: [it["numberOfFailures"] for it in _list_health(found)] == [0], what="reads our number"
        )

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[list[int]]:
        """Yield the replicas asked for, which grow by every change while the context lasts."""
        seen = [await self.workload.read_replicas()]

        async def look() -> None:
            while True:
                replicas = await self.workload.read_replicas()
                if replicas != seen[-1]:
                    seen.append(replicas)
                await asyncio.sleep(_LOOK_EVERY_S)

        task = asyncio.create_task(look())
        try:
            yield seen
            assert not task.done(), task.exception()
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def make_scaled_workload(cluster: Cluster) -> ScaledWorkload:
    """Return the Deployment of our samples, in a namespace of its own, not scaled by anybody yet."""
    namespace = await cluster.create_namespace("chat")
    await cluster.apply(DEPLOYMENTS, namespace, load_sample("deployments-vllm.yaml", "Deployment", namespace))
    return ScaledWorkload(Workload(cluster, namespace, DEPLOYMENT))


def _list_health(found: Json) -> list[Json]:
    return list((found.get("status", {}).get("health") or {}).values())
