"""A cluster in memory with an actuator on it, what is known of it, and what was published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from adapter.cluster import ClusterView, Follower, FollowerKind
from adapter.inventory import Inventory, WorkloadEntry
from adapter.kube.actuation import (
    Action,
    ActuationOptions,
    Actuator,
    record_zeroes,
)
from adapter.kube.resource import DEPLOYMENTS, STATEFUL_SETS, Resource
from adapter.store import Publication
from optimizer.domain import (
    ModelTraffic,
    VariantDecision,
    WorkloadRef,
)
from tests.builders.decisions import DECIDED_AT_S, ManualClock, make_model_decision, make_variant_decision
from tests.builders.fake_kube_api import FakeKubeApi

LLAMA = WorkloadRef("prod", "llama-70b")
QWEN = WorkloadRef("prod", "qwen-32b")
OPTIONS = ActuationOptions(37, 600.0)


@dataclass
class Stage:
    """One cluster, and what we know of it and have published."""

    api: FakeKubeApi
    actuator: Actuator
    clock: ManualClock
    requested: dict[WorkloadRef, int] = field(default_factory=dict)
    followers: dict[WorkloadRef, tuple[Follower, ...]] = field(default_factory=dict)
    zeroed_by: Mapping[WorkloadRef, str] = field(default_factory=dict)
    traffic: tuple[ModelTraffic, ...] = ()

    def make(self, workload: WorkloadRef, replicas: int, existing: int | None = None) -> None:
        """Let `workload` be there, and be known."""
        resource = {"Deployment": DEPLOYMENTS, "StatefulSet": STATEFUL_SETS}.get(workload.kind) or self._install(
            workload
        )
        status = {"replicas": replicas if existing is None else existing}
        about = {"name": workload.name, "namespace": workload.namespace}
        self.api.put(resource, {"metadata": about, "spec": {"replicas": replicas}, "status": status})
        self.requested[workload] = replicas

    def _install(self, workload: WorkloadRef) -> Resource:
        group, _, version = workload.api_version.partition("/")
        resource = Resource(group, version, f"{workload.kind.lower()}s", workload.kind)
        self.api.install(resource, has_scale=True)
        return resource

    def count(self, workload: WorkloadRef, resource: Resource = DEPLOYMENTS) -> int:
        replicas: int = self.api.get(resource, workload.namespace, workload.name)["spec"]["replicas"]
        return replicas

    async def act(self, *variants: VariantDecision, options: ActuationOptions, **view: Any) -> tuple[Action, ...]:
        """Act once, and remember what is to be recorded."""
        models = (make_model_decision(*variants, decided_at_s=DECIDED_AT_S),) if variants else ()
        entries = tuple(WorkloadEntry(workload, count, ()) for workload, count in self.requested.items())
        seen = ClusterView(Inventory(entries, **view), followers=self.followers)
        publication = Publication(models, traffic=self.traffic)
        actions = await self.actuator.act(publication, seen, options, self.zeroed_by)
        self.zeroed_by = record_zeroes(self.zeroed_by, actions)
        self.requested = {workload: self._read(workload) for workload in self.requested}
        return actions

    def _read(self, workload: WorkloadRef) -> int:
        resource = next(kind for kind in self.api.kinds.resources if kind.kind == workload.kind)
        return self.count(workload, resource)

    @property
    def writes(self) -> int:
        return self.api.count_writes().total()


def decide(replicas: int, workload: WorkloadRef = LLAMA, **given: Any) -> VariantDecision:
    return replace(make_variant_decision(workload.name, replicas, kind=workload.kind), workload=workload, **given)


def make_follower(workload: WorkloadRef = LLAMA, **given: Any) -> tuple[Follower, ...]:
    return (Follower(FollowerKind.HPA, "hpa", workload, 1, 64, **{"is_active": True, **given}),)
