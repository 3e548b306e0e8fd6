"""The configuration in the words of discovery. Pure translation."""

from __future__ import annotations

from adapter.cluster import Dialect
from adapter.config.schema import Configuration, ReplicaUnit
from adapter.kube.discovery.options import DiscoveryOptions

_PAGE_UNITS = {ReplicaUnit.REPLICAS: 1, ReplicaUnit.HUNDREDTHS: 100}


def to_discovery_options(configuration: Configuration) -> DiscoveryOptions:
    """Return how `configuration` wants the cluster to be looked at."""
    discovery = configuration.discovery
    return DiscoveryOptions(
        namespaces=discovery.namespaces,
        dialects=tuple(Dialect(dialect.value) for dialect in discovery.dialects),
        has_quotas=discovery.limits.quotas,
        has_nodes=discovery.limits.nodes,
        unschedulable_after_s=discovery.unschedulable_after_s,
        accelerators=tuple(configuration.accelerators),
        page_units_per_replica=_PAGE_UNITS[configuration.publishing.unit],
    )
