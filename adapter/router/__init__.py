"""A streaming reverse proxy in front of the replicas of each LLM, with load-aware choice of the replica.

It may touch HTTP in and out; it may not read metric pages, the configuration or the store, nor ask for replicas.
"""

from adapter.router.holding import HoldingLimits
from adapter.router.server import Router, RouterSettings
from adapter.router.table import Replica, ReplicaTable

__all__ = ["HoldingLimits", "Replica", "ReplicaTable", "Router", "RouterSettings"]
