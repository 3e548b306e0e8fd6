"""The pages people and Prometheus read: replica numbers, our metrics, decisions as JSON, health.

It renders what the store holds; it computes and decides nothing.
"""

from adapter.pages.app import build_pages_app
from adapter.pages.replica_page import ReplicaUnit

__all__ = ["ReplicaUnit", "build_pages_app"]
