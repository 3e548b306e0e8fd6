"""What discovery is told once, and what it is handed each time. Data only; no I/O."""

from __future__ import annotations

from dataclasses import dataclass

from adapter.cluster import Dialect
from adapter.kube.client import Json
from adapter.kube.discovery.devices import ACCELERATOR_RESOURCES
from optimizer.domain import WorkloadRef


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryOptions:
    """How a cluster is looked at.

    Attributes
    ----------
    namespaces
        Those that are watched; none means the whole cluster.
    dialects
        Whose labels claim workloads, the most important first.
    has_quotas, has_nodes
        Whether ResourceQuotas, and today's nodes, are told as amounts. Nodes are only where the whole cluster is
        watched: what other namespaces use of them is unknown else.
    unschedulable_after_s
        Pods without a place for longer than this bound the plan [s].
    accelerators
        Names of the catalog, as the configuration spells them.
    accelerator_resources
        Extended resources that count as accelerators.
    page_units_per_replica
        What our pages count, for followers that read them: 1, or 100 for hundredths.
    """

    namespaces: tuple[str, ...] = ()
    dialects: tuple[Dialect, ...] = tuple(Dialect)
    has_quotas: bool = True
    has_nodes: bool = False
    unschedulable_after_s: float = 300.0
    accelerators: tuple[str, ...] = ()
    accelerator_resources: tuple[str, ...] = ACCELERATOR_RESOURCES
    page_units_per_replica: int = 1


@dataclass(frozen=True, slots=True)
class ScaledObject:
    """An object of a kind that discovery does not know, with what its scale says.

    Attributes
    ----------
    workload
        How it was asked for.
    document
        The object.
    requested_replicas
        In ``spec`` of its scale.
    selector
        Of its pods, "" where the scale tells none.
    """

    workload: WorkloadRef
    document: Json
    requested_replicas: int
    selector: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterObjects:
    """All objects of one moment, by kind, as the API has them; `scaled` are those of further kinds."""

    deployments: tuple[Json, ...] = ()
    stateful_sets: tuple[Json, ...] = ()
    leader_worker_sets: tuple[Json, ...] = ()
    replica_sets: tuple[Json, ...] = ()
    pods: tuple[Json, ...] = ()
    nodes: tuple[Json, ...] = ()
    resource_quotas: tuple[Json, ...] = ()
    hpas: tuple[Json, ...] = ()
    scaled_objects: tuple[Json, ...] = ()
    pod_autoscalers: tuple[Json, ...] = ()
    scaled: tuple[ScaledObject, ...] = ()
