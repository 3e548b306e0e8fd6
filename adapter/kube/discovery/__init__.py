"""Which variants a cluster runs, and what it tells about them; plain objects in, facts out, and the watches between.

It decides nothing and writes nothing to the cluster.
"""

from adapter.kube.discovery.claims import WorkloadClaim
from adapter.kube.discovery.configured import to_discovery_options
from adapter.kube.discovery.options import DiscoveryOptions
from adapter.kube.discovery.watch import ClusterWatch

__all__ = ["ClusterWatch", "DiscoveryOptions", "WorkloadClaim", "to_discovery_options"]
