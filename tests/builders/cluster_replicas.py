"""Replicas of the adapter, whole but for their servers, on an API in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from adapter.compose.cluster import ClusterWork
from adapter.compose.cluster.identity import ReplicaIdentity
from adapter.config.load import ConfigurationWatcher
from adapter.kube.decisions import Installation
from adapter.kube.resource import DEPLOYMENTS
from adapter.store import DecisionStore
from adapter.telemetry import Telemetry
from tests.builders.cluster_objects import make_workload
from tests.builders.fake_kube_api import FakeKubeApi
from tests.builders.quiet_clock import QuietClock

CONFIG = """
discovery: {kind: kubernetes}
listen: {external_metrics: {enabled: false}}
decision: {period: 15s, calm_window: 0}
collection: {jitter: 0}
accelerators: {L40S: {cost_per_hour: 0.79}}
service_classes: {interactive: {itl: 50ms}}
"""
OURS = {"variant-autoscaler.io/model": "chat", "variant-autoscaler.io/accelerator": "L40S"}
INSTALLATION = Installation("autoscaler", "va")


@dataclass(frozen=True)
class Replica:
    """One replica at work."""

    store: DecisionStore
    work: ClusterWork
    telemetry: Telemetry
    task: asyncio.Task[None]

    @property
    def numbers(self) -> dict[str, int]:
        return {series.workload.name: series.replicas for series in self.store.get().series}

    @property
    def leads(self) -> bool:
        return self.telemetry.registry.get_sample_value("variant_autoscaler_leader") == 1.0

    @property
    def passes(self) -> int:
        return int(self.telemetry.registry.get_sample_value("variant_autoscaler_cycles_total", {"outcome": "ok"}) or 0)

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


@asynccontextmanager
async def open_replica(
    api: FakeKubeApi, clock: QuietClock, folder: Path, name: str, installation: Installation = INSTALLATION
) -> AsyncIterator[Replica]:
    """Yield a replica at work, which ends in order afterwards."""
    config = folder / "config.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    store, telemetry = DecisionStore(), Telemetry()
    async with api.open_client() as client:
        identity = ReplicaIdentity(installation.namespace, installation.name, name)
        work = ClusterWork(
            ConfigurationWatcher(config), client, clock, identity=identity, store=store, telemetry=telemetry
        )
        replica = Replica(store, work, telemetry, asyncio.create_task(work.run()))
        try:
            yield replica
        finally:
            await replica.end()


async def until(clock: QuietClock, is_so: Callable[[], object], within_s: float = 60.0) -> None:
    """Let time pass until something is so."""
    end_s = clock.now_s() + within_s
    while not is_so():
        assert clock.now_s() < end_s, f"not within {within_s:g} s"
        await clock.run_to(clock.now_s() + 0.5)


def deploy(api: FakeKubeApi, replicas: int, override: str | None = None, **annotations: str) -> None:
    """Have the Deployment llama with so many replicas, overridden or not."""
    keys = {**OURS, **annotations, **({} if override is None else {"variant-autoscaler.io/override": override})}
    api.put(DEPLOYMENTS, make_workload("llama", namespace="prod", replicas=replicas, annotations=keys), "prod")
