"""The adapter in a Kubernetes cluster: every replica watches, serves and shows; the one with the lease decides."""

from adapter.compose.cluster.work import ClusterWork, open_cluster_parts, open_cluster_work

__all__ = ["ClusterWork", "open_cluster_parts", "open_cluster_work"]
