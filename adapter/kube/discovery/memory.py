"""What discovery remembers from one look at the cluster to the next. Data only; a restart may forget it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from adapter.kube.discovery.shortfall import Shortfall
from optimizer.domain import WorkloadRef

OWNER_S = 600.0
"""A field manager that declared ``spec.replicas`` is told of for so long after it was last seen [s].

Each step of a scaler takes the field away from it, until it declares it again: GitOps looks every few minutes.
"""


@dataclass(frozen=True, slots=True)
class Memory:
    """What was found before.

    Attributes
    ----------
    held
        The model that each workload is decided for: of two claims of equal rank the older one keeps it.
    accelerators
        Types seen on nodes, by uid of the workload: at zero replicas there is no node to look at.
    shortfalls
        Workloads whose replicas found no place.
    owners
        Who declared ``spec.replicas``, and when that was last seen [Unix s], by uid of the workload.
    """

    held: Mapping[WorkloadRef, str] = field(default_factory=dict)
    accelerators: Mapping[str, str] = field(default_factory=dict)
    shortfalls: Mapping[WorkloadRef, Shortfall] = field(default_factory=dict)
    owners: Mapping[str, tuple[str, float]] = field(default_factory=dict)
